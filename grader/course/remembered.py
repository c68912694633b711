"""Rubrics that were read before: their settings are kept between runs, so that the build need not wait for the rest.

Reading a rubric takes about as long as a build from the cache, and most of it (its parser, the models of its checks) is
needed only when the image is there. What is kept was found valid in a file of the very same bytes, and is compared once
that file has been read again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import platformdirs

import grader
from grader.course.settings import AppSettings, Settings
from grader.errors import EngineError
from grader.files import put
from grader.running import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.rubric import Rubric

#: Rubrics that are kept; the oldest are forgotten.
_MOST = 200


def load(path: Path, check_types: Callable[[], Mapping[str, type[Check]]]) -> Rubric:
    """A rubric whose settings are known at once; if it was read before, the rest is read when it is asked for.

    Raises what ``rubric.load`` does: at once for a rubric not read before, else when the rest is asked for, and then
    also ``EngineError`` when what was kept does not agree with the file.
    """
    file = _file(path)
    settings = _recall(file)
    if settings is None:
        rubric = _read(path, check_types)
        _remember(file, rubric.settings)
        return rubric

    def read() -> Rubric:
        rubric = _read(path, check_types)
        if rubric.settings != settings:
            file.unlink(missing_ok=True)
            raise EngineError("What was kept of the rubric does not agree with it", "Grade again.", where=str(path))
        return rubric

    return cast("Rubric", _Unread(settings, read))


class _Unread:
    """Stands for a rubric of which nothing but the settings is known; whatever else is asked of it reads the file."""

    def __init__(self, settings: Settings, read: Callable[[], Rubric]) -> None:
        self.settings = settings
        self._rubric = Part(read)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rubric.get(), name)


def _read(path: Path, check_types: Callable[[], Mapping[str, type[Check]]]) -> Rubric:
    from grader.course import rubric  # noqa: PLC0415  # the very import that is to be put off

    return rubric.load(path, check_types())


def _file(path: Path) -> Path:
    """Where the settings of this rubric, in these bytes, are kept."""
    try:
        content = path.read_bytes()
    except OSError:
        # Whoever reads it in earnest will say so.
        content = b""
    key = hashlib.sha256(f"{grader.__version__}\n".encode() + content).hexdigest()
    return _folder() / f"{key}.json"


def _folder() -> Path:
    return platformdirs.user_cache_path("image-grader") / "rubrics-1"


def _recall(file: Path) -> Settings | None:
    """What was kept, if it was; a damaged file counts as not there."""
    try:
        raw = json.loads(file.read_bytes())
        app = raw.pop("app")
        lists: dict[str, Any] = {name: tuple(raw.pop(name)) for name in ("submit", "bases", "add_from")}
        return Settings(**raw, **lists, app=AppSettings(**app) if app else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _remember(file: Path, settings: Settings) -> None:
    """Keeps the settings for the next run; that this fails is no reason to fail the grading."""
    with suppress(OSError):
        put(file, json.dumps(asdict(settings)))
        for old in sorted(file.parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)[_MOST:]:
            old.unlink(missing_ok=True)
