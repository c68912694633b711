"""What runs on a cluster's workers: first they tell what they are, then they get the exercise, then submissions.

Nothing here is called but by `crew` and `cluster`, through Dask. What is sent and what comes back are bytes, texts and
plain containers of them, so that workers of any version can be asked what they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import threading
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import grader
from grader import scratch as temporary
from grader.bulk.pool import Bounds, Setting
from grader.errors import GraderError
from grader.submission.files import BACKUPS, File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.bulk.one import Grader

#: Files by their relative POSIX paths: what they hold, and whether they may be executed.
Packed = dict[str, tuple[bytes, bool]]
#: Where this process has unpacked an exercise, by its digest.
_PLACES: dict[str, Setting] = {}
#: Each thread of a worker grades with a connection of its own.
_MINE = threading.local()


@dataclass(frozen=True)
class Exercise:
    """An exercise as it travels; ``digest`` is over its files, ``bases`` are those that it builds on."""

    id: str
    digest: str
    files: Packed
    bases: tuple[str, ...]
    bounds: Bounds


def dask() -> str:
    """The version of Dask that is installed where this runs."""
    return metadata.version("distributed")


def packed(folder: Path) -> Packed:
    """The files of an exercise's folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    found = ((path.relative_to(folder).as_posix(), path) for path in paths)
    return {name: (path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in found}


def pack(folder: Path, bases: Sequence[str], bounds: Bounds) -> Exercise:
    """An exercise, to be sent."""
    files = packed(folder)
    total = hashlib.sha256()
    for name, (data, executable) in files.items():
        total.update(f"{name} {executable} {hashlib.sha256(data).hexdigest()}\n".encode())
    return Exercise(folder.name, total.hexdigest(), files, tuple(bases), bounds)


# --- on the worker ----------------------------------------------------------------------------------------------------


async def facts() -> dict[str, str]:
    """What a worker is: ``grader`` and ``dask`` are versions, ``platform`` its engine's; ``trouble`` when it has none.

    In a thread, for the worker's own event loop must go on: who is silent for too long is taken for dead.
    """
    return await asyncio.to_thread(_facts)


def _facts() -> dict[str, str]:
    from grader.bulk.space import Space  # noqa: PLC0415
    from grader.engine import leftovers  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    told = {"grader": grader.__version__, "dask": dask(), "platform": "", "trouble": ""}
    try:
        engine = connect()
        # Of a worker that was killed here before this one.
        leftovers.sweep(engine)
    except GraderError as error:
        return told | {"trouble": _told(error)}
    except OSError as error:
        return told | {"trouble": f"its engine fails: {error}"}
    return told | {"platform": engine.platform, "trouble": Space(engine).trouble()}


async def prepare(exercise: Exercise, dask_worker: Any = None) -> dict[str, Any]:
    """Unpacks an exercise and makes its base images present: ``bases``, or ``trouble`` when that cannot be done."""
    return await asyncio.to_thread(_prepare, exercise, Path(dask_worker.local_directory))


def _prepare(exercise: Exercise, scratch: Path) -> dict[str, Any]:
    from grader.bulk.one import Grader  # noqa: PLC0415
    from grader.engine import bases, unfenced  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    try:
        engine = connect()
        if exercise.bounds.fenced:
            unfenced.require(engine)
        if exercise.digest not in _PLACES:
            # In the worker's own folder, which Dask removes with the worker.
            folder = Path(tempfile.mkdtemp(prefix="grader-", dir=scratch)) / exercise.id
            unpack(exercise.files, folder)
            setting = Setting(folder, exercise.bounds)
            Grader(setting)  # a check type may be missing here
            _PLACES[exercise.digest] = setting
        found = bases.ensure(engine, exercise.bases, stand_ins=exercise.bounds.stand_ins)
        told = [asdict(base) | {"content": bases.content(engine, base)} for base in found]
    except GraderError as error:
        return {"trouble": _told(error)}
    except OSError as error:
        return {"trouble": f"it cannot make the exercise ready: {error}"}
    return {"trouble": "", "bases": told}


def _told(error: GraderError) -> str:
    return ". ".join(part.rstrip(".") for part in (error.what, error.fix) if part)


def grade(digest: str, name: str, files: Packed, ignored: Sequence[str]) -> tuple[str, dict[str, Any] | None]:
    """Where it was graded, and a ``grader.result/1`` object; None when this process does not have the exercise.

    ``ignored`` are names of what else was handed in: the verdict tells of them, and their content is nobody's business.
    """
    from distributed import get_worker  # noqa: PLC0415

    address = str(get_worker().address)
    mine = _grader(digest)
    if mine is None:
        return address, None
    with temporary.folder() as folder:
        unpack({path: (b"not sent\0", False) for path in ignored if _is_plain(path)}, folder)
        unpack(files, folder)
        # One that holds nothing is refused, and this was looked at before it was sent.
        (folder / BACKUPS).mkdir(exist_ok=True)
        return address, mine.grade_folder(name, folder)


def _grader(digest: str) -> Grader | None:
    from grader.bulk.one import Grader  # noqa: PLC0415

    setting = _PLACES.get(digest)
    if setting is None or not setting.exercise.is_dir():
        _PLACES.pop(digest, None)
        return None
    known: dict[str, Grader] = _MINE.__dict__.setdefault("graders", {})
    if digest not in known:
        known.clear()  # another exercise's, of a run that is over
        known[digest] = Grader(setting)
    return known[digest]


def unpack(files: Mapping[str, tuple[bytes, bool]], folder: Path) -> None:
    """Writes files below ``folder``."""
    for name, (data, executable) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if executable else 0o644)


def _is_plain(name: str) -> bool:
    """Whether a name leads to a file below the folder, on every system."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not set(name) & set('\\:*?"<>|')


def as_packed(files: Mapping[str, File], names: Sequence[str]) -> Packed:
    """The named ones of a submission's files."""
    return {name: (files[name].data, files[name].executable) for name in names}
