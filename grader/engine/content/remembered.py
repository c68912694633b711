"""Layers that were read before: kept between runs by their diff id, so that a base image is streamed but once."""

from __future__ import annotations

import gzip
import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import platformdirs

from grader.engine.content.layers import Entry, Layer
from grader.files import put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Layers remembered on disk; the oldest are forgotten.
_MOST = 400
#: Of the form in which they are written.
_VERSION = 4


def _folder() -> Path:
    return platformdirs.user_cache_path("image-grader") / f"layers-{_VERSION}"


def _file(name: str) -> Path:
    return _folder() / f"{hashlib.sha256(name.encode()).hexdigest()}.json.gz"


def recall(diff_id: str) -> Layer | None:
    """What was streamed of this layer before, if it was; a damaged file counts as not read."""
    try:
        raw = json.loads(gzip.decompress(_file(diff_id).read_bytes()))
        return Layer(diff_id, _entries(raw), dict(raw["programs"]))
    except (OSError, ValueError, TypeError, EOFError, AttributeError, KeyError):
        return None


def recall_entries(name: str) -> Mapping[str, Entry] | None:
    """The same of a layer whose folder was walked: its files have not been searched for programs."""
    try:
        return _entries(json.loads(gzip.decompress(_file(name).read_bytes())))
    except (OSError, ValueError, TypeError, EOFError, AttributeError, KeyError):
        return None


def _entries(raw: Mapping[str, Any]) -> dict[str, Entry]:
    return {name: Entry(*fields) for name, fields in raw["entries"].items()}


def remember(layer: Layer) -> None:
    """Writes down what a layer holds, for the next run; that this fails is no reason to fail the grading."""
    _put(_file(layer.diff_id), {"entries": dict(layer.entries), "programs": dict(layer.programs)})


def remember_entries(name: str, entries: Mapping[str, Entry]) -> None:
    """Writes down what was walked of a layer's folder, in the same way; ``name`` tells it from all others."""
    _put(_file(name), {"entries": dict(entries)})


def _put(file: Path, raw: Mapping[str, Any]) -> None:
    if file.exists():
        return
    with suppress(OSError):
        content = gzip.compress(json.dumps(raw).encode(), compresslevel=1)
        put(file, content)
        old = sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[_MOST:]:
            path.unlink(missing_ok=True)
