"""Rubrics that were read before: what was read is kept between runs, for it takes longer to read one than to build.

A file holds two things one after the other: the settings, which a build needs, and the whole rubric, whose checks are
imported with it and needed only when the image is there. What is kept was found valid in a file of the very same bytes,
by the very same grader.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
from contextlib import suppress
from dataclasses import is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import platformdirs

import grader
from grader.course.settings import Settings
from grader.files import put
from grader.running import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grader.checks.base import Check
    from grader.course.rubric import Rubric

#: Rubrics that are kept; the oldest are forgotten.
_MOST = 200
#: Where the classes are of which a rubric is made, and the checks of which one is kept. Of other packages' check types
#: it is not known when they change.
_OURS = ("grader.course.", "grader.checks.")


def load(path: Path, check_types: Callable[[], Mapping[str, type[Check]]]) -> Rubric:
    """A rubric whose settings are known at once; if it was read before, the rest is taken when it is asked for.

    Raises what ``rubric.load`` does: at once for a rubric not read before.
    """
    file = _file(path)
    kept = _recall(file)
    if kept is None:
        rubric = _read(path, check_types)
        _remember(file, rubric)
        return rubric
    settings, rest = kept

    def read() -> Rubric:
        with suppress(*_DAMAGED):
            return replace(cast("Rubric", _Ours(rest).load()), path=path)
        file.unlink(missing_ok=True)
        return _read(path, check_types)

    return cast("Rubric", _Unread(settings, read))


class _Unread:
    """Stands for a rubric of which nothing but the settings is known; whatever else is asked of it is taken then."""

    def __init__(self, settings: Settings, read: Callable[[], Rubric]) -> None:
        self.settings = settings
        self._rubric = Part(read)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rubric.get(), name)


#: What a file that is not as we wrote it may raise.
_DAMAGED = (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, AttributeError, ImportError, IndexError)


class _Kept(pickle.Pickler):
    """What `_Ours` takes back, whichever Python writes it."""

    def reducer_override(self, value: Any) -> Any:
        """Of an enumeration its value; Python 3.11.2, Debian's, would write a call of ``getattr`` instead."""
        return (type(value), (value.value,)) if isinstance(value, Enum) else NotImplemented


class _Ours(pickle.Unpickler):
    """Makes plain values, and of classes none but a rubric's: whatever a file says, nothing else is called."""

    def find_class(self, module: str, name: str) -> Any:
        """One of the dataclasses that a rubric is made of, or an enumeration; raises UnpicklingError for all else."""
        found = super().find_class(module, name) if module.startswith(_OURS) else None
        if isinstance(found, type) and found.__module__ == module and (is_dataclass(found) or issubclass(found, Enum)):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a rubric")


def _read(path: Path, check_types: Callable[[], Mapping[str, type[Check]]]) -> Rubric:
    from grader.course import rubric  # noqa: PLC0415  # the very import that is to be saved

    return rubric.load(path, check_types())


def _file(path: Path) -> Path:
    """Where this rubric, in these bytes, is kept."""
    try:
        content = path.read_bytes()
    except OSError:
        # Whoever reads it in earnest will say so.
        content = b""
    key = hashlib.sha256(b"\n".join([grader.__version__.encode(), *_modules(), content])).hexdigest()
    return _folder() / f"{key}.rubric"


def _modules() -> Iterator[bytes]:
    """What tells that the grader is another one, although its version is the same: while it is being written."""
    yield sys.version.encode()
    package = Path(grader.__file__).parent
    for folder in ("course", "checks"):
        with os.scandir(package / folder) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.endswith(".py"):
                    yield f"{entry.name} {entry.stat().st_mtime_ns}".encode()


def _folder() -> Path:
    return platformdirs.user_cache_path("image-grader") / "rubrics-3"


def _recall(file: Path) -> tuple[Settings, io.BytesIO] | None:
    """The settings that were kept, if they were, and what comes after them; a damaged file counts as not there."""
    with suppress(OSError, *_DAMAGED):
        rest = io.BytesIO(file.read_bytes())
        settings = _Ours(rest).load()
        return (settings, rest) if isinstance(settings, Settings) else None
    return None


def _remember(file: Path, rubric: Rubric) -> None:
    """Keeps a rubric for the next run; that this fails is no reason to fail the grading."""
    if not all(type(check).__module__.startswith(_OURS) for check in rubric.checks):
        return
    kept = io.BytesIO()
    _Kept(kept).dump(rubric.settings)
    # Where the rubric lies is no part of what it says.
    _Kept(kept).dump(replace(rubric, path=None))  # type: ignore[arg-type]
    with suppress(OSError):
        put(file, kept.getvalue())
        for old in sorted(file.parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)[_MOST:]:
            old.unlink(missing_ok=True)
