"""What `pytest_plugin` does when its options are given: a rubric's checks are items, and nothing else is.

A failed check is a failed test. What could not be judged through a fault of ours, the author's or the engine's is an
error of the test's setup, so that no report of pytest's shows it as the learner's failure. A check that waits for
another one that did not pass is skipped, as in `grade`.

Of the folder that is graded nothing is loaded: no conftest.py at all, and only the rubric is collected. A pytest that
was started in the submission, or was given its files, has taken its settings from there before any plugin is asked, and
with them whatever plugins they name: it is refused, and nothing is graded.
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.course.exercise import find_course, resolve
from grader.errors import GraderError, RubricError, UsageError
from grader.reports._text import last_state, one_line
from grader.result import Status, silent
from grader.running import Interruption, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.making import Maker
    from grader.result import CheckResult

_LOG_LINES = 20


def prepare(config: pytest.Config) -> None:
    """Makes a run of pytest one of an exercise's checks. Raises ``pytest.UsageError`` for what cannot be meant."""
    options = config.known_args_namespace
    if options.grader_submission is None:
        raise pytest.UsageError("--grader-exercise needs --grader-submission DIR, the folder to grade")
    submission = Path(options.grader_submission).resolve()
    if not submission.is_dir():
        raise pytest.UsageError(f"--grader-submission: {submission} is no folder")
    _refuse_inside(config, submission)
    options.noconftest = True
    try:
        course, pinned = _course(options.grader_course)
        exercise = resolve(find_course(course), options.grader_exercise)
    except GraderError as error:
        raise pytest.UsageError(_words(error)) from error
    _refuse_others(options.file_or_dir, exercise)
    config.pluginmanager.register(_Plugin(exercise, submission, pinned, agreed=options.grader_yes), "grader-items")


def _refuse_inside(config: pytest.Config, submission: Path) -> None:
    places = {
        "pytest takes its settings from the submission": config.inipath,
        "pytest's root is in the submission": config.rootpath,
        "pytest was started in the submission": config.invocation_params.dir,
    }
    for what, place in places.items():
        if place is not None and place.resolve().is_relative_to(submission):
            raise pytest.UsageError(
                f"{what}: {place}\nNothing there may have a say in its own grading: start pytest in a folder outside "
                "of it, and name none of its files."
            )


def _refuse_others(given: Iterable[str], exercise: Exercise) -> None:
    for argument in given:
        head = argument.partition("::")[0]
        if head != exercise.id and Path(head).resolve() != exercise.rubric_path.resolve():
            raise pytest.UsageError(
                f"With --grader-exercise the rubric's checks are run, and no other tests: {argument}\n"
                f"Choose some by their names, with -k, or write {exercise.id}::CHECK."
            )


def _course(given: str | None) -> tuple[Path | None, str | None]:
    """The course's folder, and its address held to what it means now: all workers of a run have the same."""
    from grader.course import address  # noqa: PLC0415

    found = address.parse(given) if given else None
    if found is None:
        return (Path(given) if given else None), given
    from grader.course import source  # noqa: PLC0415

    fetched = source.fetch(found)
    return fetched.folder, fetched.pinned.typed


class _Plugin:
    """The hooks of such a run."""

    def __init__(self, exercise: Exercise, submission: Path, course: str | None, *, agreed: bool) -> None:
        self._exercise = exercise
        self._submission = submission
        self._course = course
        self._agreed = agreed

    def pytest_configure(self, config: pytest.Config) -> None:
        # What workers of pytest-xdist are told, whose current folder may be another one.
        config.option.grader_submission = str(self._submission)
        config.option.grader_course = self._course
        checks = [argument.partition("::") for argument in config.option.file_or_dir] or [("", "", "")]
        config.args = [f"{self._exercise.rubric_path}{colons}{check}" for _, colons, check in checks]

    def pytest_report_header(self) -> list[str]:
        return [f"grader: {self._exercise.id}, submission {one_line(str(self._submission))}"]

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.resolve() != self._exercise.rubric_path.resolve():
            return None
        collected: RubricFile = RubricFile.from_parent(parent, path=file_path, nodeid=self._exercise.id)
        collected.graded = partial(_Grading, self._exercise, self._submission, agreed=self._agreed)
        return collected


class RubricFile(pytest.File):
    """A rubric, and the one submission that is graded by it in this process."""

    graded: Any
    _grading: _Grading | None = None

    def collect(self) -> Iterator[CheckItem]:
        """An item a check, in the rubric's order."""
        from grader.checks import types  # noqa: PLC0415
        from grader.course import rubric  # noqa: PLC0415

        self.rubric = rubric.load(self.path, types())
        for check in self.rubric.checks:
            yield CheckItem.from_parent(self, name=check.id, check=check)

    @property
    def grading(self) -> _Grading:
        """Begun by the first check that is run."""
        if self._grading is None:
            chosen = [item.check.id for item in self.session.items if isinstance(item, CheckItem)]
            self._grading = self.graded(self.rubric, chosen)
        return self._grading

    def teardown(self) -> None:
        """Nothing of the submission stays in the engine."""
        if self._grading is not None:
            self._grading.close()
            self._grading = None

    def repr_failure(  # type: ignore[override]  # a collector's own has no `style`
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """A rubric that cannot be read, in words."""
        return _words(excinfo.value) if isinstance(excinfo.value, GraderError) else super().repr_failure(excinfo)


class CheckItem(pytest.Item):
    """One check. It is judged while it is set up: what keeps it from being judged is no failure of the learner's."""

    parent: RubricFile

    def __init__(self, *, check: Check, **rest: Any) -> None:
        super().__init__(**rest)
        self.check = check
        self._results: Sequence[CheckResult] = ()

    def setup(self) -> None:
        """Judges it. An exception here is shown as an error, and not as a failure."""
        try:
            self._results = self.parent.grading.verdict(self.check.id)
        except GraderError as error:
            pytest.fail(_words(error), pytrace=False)
        self.user_properties += [
            ("points", sum(result.score or 0.0 for result in self._results)),
            ("max_points", sum(result.max_score for result in self._results)),
        ]
        self._tell(Status.ERROR)
        if all(result.status is Status.SKIPPED for result in self._results):
            pytest.skip(one_line(self._results[0].got))

    def runtest(self) -> None:
        """Tells what was found."""
        self._tell(Status.FAILED)

    def _tell(self, status: Status) -> None:
        """Expected, got, why, hint and line of what is so; without a traceback, which would be ours."""
        told = [result for result in self._results if result.status is status]
        if told:
            submission = self.parent.grading.submission
            pytest.fail("\n\n".join(_account(result, submission) for result in told), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the check is from, and what it is called."""
        return self.path, None, f"{self.path.parent.name}: {self.name}"


class _Grading:
    """A submission in the engine; each check is judged once, when it or one that waits for it is run."""

    def __init__(
        self, exercise: Exercise, submission: Path, rubric: Rubric, chosen: Sequence[str], *, agreed: bool
    ) -> None:
        self.submission = submission
        self._checks = {check.id: check for check in rubric.checks if check.id in chosen}
        self._maker = _maker(exercise, submission, rubric, tuple(chosen), agreed=agreed)
        self._made: Part[None] = Part(self._make)
        self._results: dict[str, tuple[CheckResult, ...]] = {}
        self._reported: dict[int, str] = {}

    def verdict(self, name: str) -> tuple[CheckResult, ...]:
        """Raises UsageError or RubricError when nothing can be judged for a mistake of whoever set it up."""
        from grader import judging  # noqa: PLC0415

        if name not in self._results:
            blocker = self._blocker(name)
            self._made.get()
            check = self._checks[name]
            self._results[name] = (
                (judging.skipped(check, blocker),)
                if blocker
                else judging.judge_one(check, self._maker.subject, self._reported, silent)
            )
        return self._results[name]

    def _blocker(self, name: str) -> str:
        """The check that keeps this one from being judged, if one does; see `judging.judge`."""
        for earlier, check in self._checks.items():
            if earlier == name:
                break
            if check.required and any(result.status is Status.FAILED for result in self.verdict(earlier)):
                return earlier
        needs = [needed for needed in self._checks[name].needs if needed in self._checks]
        return next((n for n in needs if any(r.status is not Status.PASSED for r in self.verdict(n))), "")

    def _make(self) -> None:
        """Makes the image and starts its app; that it cannot be made is met again by the checks that need it."""
        try:
            self._maker.prepare()
            self._maker.connect()
            self._maker.build()
        except (UsageError, RubricError):
            raise
        except Exception:  # noqa: BLE001  # kept in the part of the subject that it is a matter of
            return
        self._maker.start()
        self._maker.started()

    def close(self) -> None:
        with Interruption() as interruption:
            interruption.shielded = True
            self._maker.clean_up()


def _maker(exercise: Exercise, submission: Path, rubric: Rubric, only: tuple[str, ...], *, agreed: bool) -> Maker:
    from grader.making import Maker  # noqa: PLC0415
    from grader.request import Request  # noqa: PLC0415

    def engine() -> Engine:
        from grader.engine.connect import connect  # noqa: PLC0415

        return connect(agreed=agreed)

    request = Request(exercise, rubric, submission, engine=engine, only=only, stand_ins=agreed)
    return Maker(request, fresh=secrets.token_hex(8))


def _words(error: GraderError) -> str:
    lines = [error.what, *([f"where: {error.where}"] if error.where else [])]
    lines += [f"mend:  {error.fix}"] if error.fix else []
    return "\n".join(map(one_line, lines))


def _account(result: CheckResult, submission: Path) -> str:
    """A verdict as a person reads it. What a learner's program said stands behind a bar, never at a line's start."""
    points = "not judged" if result.score is None else f"{result.score:g} of {result.max_score:g} points"
    told = {"expected": result.expected, "got": result.got, "why": result.why, "mend": result.evidence.get("fix", "")}
    told |= {"hint": result.hints[0] if result.hints and result.status is Status.FAILED else ""}
    told |= {"line": f"{submission.name}/Dockerfile:{result.line}" if result.line else ""}
    lines = [f"{one_line(result.title)} ({points})"]
    lines += [f"  {name + ':':<9} {one_line(str(text))}" for name, text in told.items() if text]
    return "\n".join(lines + [f"  | {last_state(str(line))}" for line in _log(result)])


def _log(result: CheckResult) -> Sequence[Any]:
    log = result.evidence.get("log", ())
    return list(log)[-_LOG_LINES:] if isinstance(log, list | tuple) else ()
