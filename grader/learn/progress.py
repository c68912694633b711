"""What a learner has reached so far: scores and hints by exercise, in the user's state directory.

One small file holds what `grader list` shows; the last result of each exercise, which hints are worked out from, lies
in a file of its own. Both are replaced whole, and whoever changes one holds a lock: two gradings at once lose nothing.
An exercise is known by the title of its course and its name without the number, so that it may be renumbered.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from grader.errors import GraderError
from grader.files import put
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grader.course.exercise import Course, Exercise
    from grader.result import GradeResult

#: Where else progress is kept, for machines on which a user's own state does not stay.
FOLDER_VARIABLE = "GRADER_STATE_DIR"
#: Of the form of both files, in their names: another version writes files of its own.
_VERSION = 1
#: Seconds to wait for another grader that is writing.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Score:
    """What a full grading came to. ``when`` is UTC in ISO 8601."""

    score: float
    max_score: float
    passed: bool
    when: str

    @property
    def share(self) -> float:
        """Of the points that there were, for a rubric may change."""
        return self.score / self.max_score if self.max_score else 0.0


@dataclass(frozen=True)
class Taken:
    """A hint that was taken. ``key`` is the same for the same hint with other numbers in it."""

    check: str
    key: str
    text: str
    folder: str


@dataclass(frozen=True)
class Record:
    """An exercise so far. ``gradings`` counts those of all checks."""

    passed: bool = False
    best: Score | None = None
    last: Score | None = None
    gradings: int = 0
    hints: tuple[Taken, ...] = ()


@dataclass(frozen=True)
class Last:
    """The last result of an exercise, as in `grader.result/1`, with the Dockerfile that it was of.

    ``costs`` are the points that a hint takes, by the ids of checks. Checks that were graded alone later are the newer.
    """

    result: Mapping[str, Any]
    dockerfile: tuple[str, ...]
    folder: str
    costs: Mapping[str, float]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The verdicts, in the order of the rubric."""
        return list(self.result["checks"])


class Store:
    """The files below ``folder``, the user's state directory if left out.

    ``tell`` gets what a person has to know: that a file was damaged, and where it is kept. What cannot be read or
    written for the system's own reasons raises ``GraderError``.
    """

    def __init__(self, tell: Callable[[str], None], folder: Path | None = None) -> None:
        self._tell = tell
        self._folder = folder or _state_folder()
        self._file = self._folder / f"progress-{_VERSION}.json"

    def records(self, course: Course) -> dict[str, Record]:
        """What is known of the exercises of a course, by their ids."""
        known = self._read().get(course.title, {})
        keys = {exercise.id: _key(exercise) for exercise in course.exercises}
        return {id_: known[key] for id_, key in keys.items() if key in known}

    def record(self, exercise: Exercise) -> Record:
        """What is known of one exercise."""
        return self._read().get(exercise.course.title, {}).get(_key(exercise), Record())

    def last(self, exercise: Exercise) -> Last | None:
        """The last result; a damaged one counts as none, and the next grading writes it anew."""
        try:
            raw = json.loads(self._last_file(exercise).read_bytes())
            last = Last(raw["result"], tuple(raw["dockerfile"]), raw["folder"], raw["costs"])
            sound = all(isinstance(check["hints"], list) and check["id"] and check["status"] for check in last.checks)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return last if sound else None

    def graded(  # noqa: PLR0913  # what is known of a grading
        self,
        exercise: Exercise,
        result: GradeResult,
        *,
        dockerfile: Sequence[str],
        folder: Path,
        costs: Mapping[str, float],
        partial: bool,
    ) -> None:
        """Takes a verdict down. One of ``partial`` checks counts for hints only, and a fault of ours for nothing."""
        if result.status is Status.ERROR or result.score is None:
            return
        new = Last(result.to_json(), tuple(dockerfile), str(folder), costs)
        score = Score(result.score, result.max_score, result.status is Status.PASSED, result.started)
        with self._writing():
            last = self.last(exercise) if partial else None
            # Not `asdict`, which would copy the whole result.
            _replace(self._last_file(exercise), vars(_merged(last, new) if last else new))
            if not partial:
                self._change(exercise, lambda record: _added(record, score))

    def take(self, exercise: Exercise, hint: Taken) -> None:
        """Takes down that a hint was given."""
        with self._writing():
            self._change(exercise, lambda record: replace(record, hints=(*record.hints, hint)))

    # --- files ------------------------------------------------------------------------------------------------------

    def _last_file(self, exercise: Exercise) -> Path:
        import hashlib  # noqa: PLC0415  # `grader list` reads no result, and is quick

        name = hashlib.sha256(f"{exercise.course.title}\0{_key(exercise)}".encode()).hexdigest()[:32]
        return self._folder / f"results-{_VERSION}" / f"{name}.json"

    def _read(self, *, writing: bool = False) -> dict[str, dict[str, Record]]:
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _trouble("read", self._file, error) from error
        try:
            return _parsed(content)
        except (ValueError, KeyError, TypeError, AttributeError):
            if writing:
                self._put_aside()
                return {}
        # Another look with the lock, so that of two readers one puts it aside.
        with self._writing():
            return self._read(writing=True)

    def _put_aside(self) -> None:
        kept = self._file.with_name(f"{self._file.stem}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.json")
        self._file.replace(kept)
        self._tell(f"The record of your progress was damaged and could not be read; it is kept as {kept}.")

    def _change(self, exercise: Exercise, change: Callable[[Record], Record]) -> None:
        known = self._read(writing=True)
        records = known.setdefault(exercise.course.title, {})
        records[_key(exercise)] = change(records.get(_key(exercise), Record()))
        courses = {title: {key: asdict(each) for key, each in found.items()} for title, found in known.items()}
        _replace(self._file, {"schema": f"grader.progress/{_VERSION}", "courses": courses})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # Takes three times as long to import as the file to write; `grader list` does not need it.
        from filelock import FileLock  # noqa: PLC0415

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "progress.lock", timeout=_PATIENCE):
                yield
        except (OSError, NotImplementedError) as error:
            raise _trouble("written", self._folder, error) from error


def _replace(file: Path, content: Mapping[str, Any]) -> None:
    put(file, json.dumps(content, default=str))


def _state_folder() -> Path:
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else platformdirs.user_state_path("image-grader", appauthor=False)


def _trouble(verb: str, place: Path, error: Exception) -> GraderError:
    reason = getattr(error, "strerror", None) or str(error)
    fix = "See that you may write to that folder, and that the disk is not full."
    return GraderError(f"The record of your progress cannot be {verb}: {reason}", fix, where=str(place))


def _key(exercise: Exercise) -> str:
    """The name without the number, if that names one exercise only."""
    same = sum(other.slug == exercise.slug for other in exercise.course.exercises)
    return exercise.slug if same <= 1 else exercise.id


def _merged(old: Last, new: Last) -> Last:
    """The new verdicts in place of the old ones; the parts of a check go together."""
    fresh: dict[str, list[Any]] = {}
    for each in new.checks:
        fresh.setdefault(_check_id(each), []).append(each)
    merged: list[Any] = []
    for each in old.checks:
        again = fresh.get(_check_id(each))
        merged += [each] if again is None else again
        if again:
            fresh[_check_id(each)] = []
    merged += [each for more in fresh.values() for each in more]
    return replace(new, result={**new.result, "checks": merged})


def _check_id(verdict: Mapping[str, Any]) -> str:
    return str(verdict["id"]).partition("/")[0]


def _added(record: Record, score: Score) -> Record:
    better = record.best is None or score.share >= record.best.share
    return replace(
        record,
        passed=record.passed or score.passed,
        best=score if better else record.best,
        last=score,
        gradings=record.gradings + 1,
    )


def _parsed(content: bytes) -> dict[str, dict[str, Record]]:
    """Raises whatever a file that is not ours makes it raise."""
    courses = json.loads(content)["courses"]
    return {title: {key: _record(raw) for key, raw in records.items()} for title, records in courses.items()}


def _record(raw: Mapping[str, Any]) -> Record:
    return Record(
        passed=bool(raw["passed"]),
        best=_score(raw["best"]),
        last=_score(raw["last"]),
        gradings=int(raw["gradings"]),
        hints=tuple(Taken(str(h["check"]), str(h["key"]), str(h["text"]), str(h["folder"])) for h in raw["hints"]),
    )


def _score(raw: Mapping[str, Any] | None) -> Score | None:
    if raw is None:
        return None
    return Score(float(raw["score"]), float(raw["max_score"]), bool(raw["passed"]), str(raw["when"]))
