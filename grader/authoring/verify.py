"""Proves a rubric: it lets the solution pass, and nothing that is known to be wrong.

Whoever grades is handed in, so that every rule here can be tried on verdicts made for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.authoring import written
from grader.authoring.proof import Fact, Finding, Proof, place
from grader.authoring.trial import bench
from grader.course.suggest import closest
from grader.errors import GraderError, RubricError
from grader.result import GradeResult, Status
from grader.submission.files import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from grader.authoring.trial import Bench, Grade, Trial
    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.result import CheckResult

# What BuildKit reads only at the very top of a file, and so has to stand above anything else.
_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=", re.IGNORECASE)
_IDS = r"[^\s,]+(?:,\s*[^\s,]+)*"


def verify(exercise: Exercise, solutions: Path, types: Mapping[str, type[Check]], grade: Grade) -> Proof:
    """Everything that can be proven of an exercise; ``solutions`` holds a folder for each exercise.

    Raises nothing but what an interruption does: whatever goes wrong is in the proof.
    """
    try:
        found = bench(exercise, solutions, types, grade)
    except RubricError as error:
        return Proof(exercise.id, (Fact("rubric", findings=(Finding.of(error, exercise.rubric_path),)),))
    source = found.source
    return Proof(
        exercise.id,
        (
            Fact("rubric"),
            *_graded(found),
            *written.hints(found.rubric, source),
            written.bases(exercise, found.rubric, found.solution, source),
            written.files(exercise, found.rubric, found.solution, source),
        ),
    )


def _graded(found: Bench) -> Iterator[Fact]:
    """The known-bad ones are graded even without a solution: they may be what an author writes first."""
    yield starter(found, found.tried(found.exercise.starter))
    first = found.tried(found.solution)
    second = found.tried(found.solution)
    yield solution(found, first, second)
    yield again(found, first, second)
    trials = [found.tried(folder) for folder in broken_folders(found)]
    yield from checks(found, first, trials)
    yield from (broken(trial) for trial in trials)


def broken_folders(found: Bench) -> tuple[Path, ...]:
    """The known-bad submissions; a folder without a Dockerfile is none, and told as a file that nothing uses."""
    return tuple(folder for folder in written.broken_folders(found.solution) if (folder / DOCKERFILE).is_file())


# --- what is graded ---------------------------------------------------------------------------------------------------


def starter(found: Bench, trial: Trial) -> Fact:
    """It is graded, and does not pass."""

    def judge(result: GradeResult) -> Iterator[Finding]:
        yield from _errors(result)
        if result.status is Status.PASSED:
            what = f"The starter passes: it has {result.score:g} points, and {found.rubric.pass_score:g} are enough"
            yield Finding(what, "Ask for more, or start learners from further away.", found.source.at("pass"))

    return _fact("starter", [trial], judge)


def solution(found: Bench, first: Trial, second: Trial) -> Fact:
    """It earns every point, and every bonus but those that its first line leaves: ``# leaves: tiny``.

    A check that goes once this way and once the other is `again`'s to tell.
    """
    file = found.solution / DOCKERFILE
    left, line = claimed(file, "leaves")

    def judge(result: GradeResult, other: GradeResult) -> Iterator[Finding]:
        yield from _errors(result)
        flaky = {one for one, _, _ in _differences(result, other)}
        missed = [check for check in result.checks if check.status is Status.FAILED and check.id not in flaky]
        for check in missed:
            if not (check.bonus and check.id in left):
                yield _missed(check, file)
        for name in left:
            if name not in {check.id for check in missed if check.bonus}:
                fix = "Take it out of the line; only a bonus that is not earned can be left."
                yield Finding(f"The solution does not leave `{name}`", fix, place(file, line))
        if result.status is Status.FAILED and not missed and not flaky:
            yield _unheard(result, file)

    return _fact("solution", [first, second], judge)


def again(found: Bench, first: Trial, second: Trial) -> Fact:
    """The same files get the same verdict on every check, and the same score."""

    def judge(result: GradeResult, other: GradeResult) -> Iterator[Finding]:
        found_first = list(_differences(result, other))
        own = [each for each in found_first if not any(check and check.status is Status.SKIPPED for check in each[1:])]
        for name, before, after in own or found_first:
            what = f"`{name}` is flaky: {_told(before)}, then {_told(after)}"
            fix = "Ask for something that does not depend on time, chance or the state of the machine."
            yield Finding(what, fix, found.source.at_check(name))

    return _fact("again", [first, second], judge)


def checks(found: Bench, solved: Trial, trials: Sequence[Trial]) -> Iterator[Fact]:
    """A fact for each check: some known-bad Dockerfile fails it. A check of several verdicts is as many facts."""
    ids = [check.id for check in (solved.result.checks if solved.result else found.rubric.checks)]
    unsettled = next((trial.unsettled for trial in (solved, *trials) if trial.unsettled), "")
    for one in ids:
        by = [trial.folder.name for trial in trials if trial.result and one in _failed(trial.result)]
        if by or unsettled:
            yield Fact("checks", one, told=", ".join(by), unsettled="" if by else unsettled)
            continue
        file = place(found.solution / written.BROKEN / "NAME" / DOCKERFILE)
        fix = f"Write {file}, wrong in this way alone, that begins with `# fails: {one}`."
        finding = Finding(f"No broken Dockerfile fails `{one}`", fix, found.source.at_check(one))
        yield Fact("checks", one, findings=(finding,))


def broken(trial: Trial) -> Fact:
    """It fails the checks that its first line names, ``# fails: small, no-compiler``, and no others.

    The id of a check of several verdicts stands for those of them that fail.
    """
    file = trial.folder / DOCKERFILE
    named, line = claimed(file, "fails")
    where = place(file, line)

    def judge(result: GradeResult) -> Iterator[Finding]:
        yield from _errors(result)
        failed = _failed(result)
        if not named:
            fix = f"Begin it with `# fails: {', '.join(failed) or 'CHECK'}`, above all but parser directives."
            yield Finding("The first line does not name the checks that this Dockerfile fails", fix, where)
            return
        for name in named:
            if not any(_covers(name, one) for one in failed):
                yield Finding(*_unfailed(name, result), where)
        for one, check in failed.items():
            if not any(_covers(name, one) for name in named):
                fix = "Mend what else is wrong with this Dockerfile, or name the check in its first line."
                yield Finding(f"It fails `{one}` as well: {check.got}", fix, place(file, check.line))
        if result.problem and result.problem.what not in {check.got for check in failed.values()}:
            yield _unheard(result, file)

    return _fact("broken", [trial], judge)


def claimed(file: Path, word: str) -> tuple[tuple[str, ...], int]:
    """The ids after ``# word:`` in a Dockerfile's first line, and that line's number; parser directives may precede."""
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return (), 1
    number, first = next(((n, text) for n, text in enumerate(lines, 1) if not _DIRECTIVE.match(text)), (1, ""))
    match = re.fullmatch(rf"#\s*{word}:\s*({_IDS})\s*", first)
    return (tuple(re.split(r",\s*", match[1])) if match else ()), number


# --- how it is told ---------------------------------------------------------------------------------------------------


def _fact(kind: str, trials: Sequence[Trial], judge: Callable[..., Iterable[Finding]]) -> Fact:
    """The fact that ``judge`` makes of the verdicts of all trials; without a verdict, why there is none."""
    subject = trials[0].folder.name if kind == "broken" else ""
    for trial in trials:
        if trial.unsettled:
            return Fact(kind, subject, unsettled=trial.unsettled)
        if trial.refused:
            return Fact(kind, subject, findings=(_refusal(trial, trial.refused),))
    results = [trial.result for trial in trials if trial.result]
    findings = tuple(judge(*results))
    told = {"again": "" if findings else "same", "broken": ", ".join(_failed(results[0]))}
    return Fact(kind, subject, told=told.get(kind, _score(results[0])), findings=findings)


def _refusal(trial: Trial, error: GraderError) -> Finding:
    if not trial.folder.is_dir():
        fix = "Write it: the files that a learner would change."
        return Finding("There is no such folder", fix, place(trial.folder))
    return Finding.of(error, trial.folder)


def _errors(result: GradeResult) -> Iterator[Finding]:
    """Checks that could not be judged through the author's fault."""
    for check in result.checks:
        if check.status is Status.ERROR:
            fix, where = str(check.evidence.get("fix", "")), str(check.evidence.get("where", ""))
            yield Finding(f"`{check.id}` could not be judged: {check.got}", fix, where)


def _missed(check: CheckResult, file: Path) -> Finding:
    fix = "Mend the solution, or what the check asks for."
    if check.bonus:
        fix = f"Earn the bonus, or say that it is left: `# leaves: {check.id}` in the first line."
    return Finding(f"The solution does not pass `{check.id}`: {check.got}", fix, place(file, check.line))


def _unheard(result: GradeResult, file: Path) -> Finding:
    """A submission that cannot be built does not pass, whatever its checks say."""
    problem = result.problem
    what = f"No image comes of it, and no check says so: {problem.what}" if problem else "It does not pass"
    return Finding(what, "Add a check of the type `build`.", place(file, problem.line if problem else None))


def _unfailed(name: str, result: GradeResult) -> tuple[str, str]:
    """What a check did that was said to fail, and how to mend it."""
    fix = "Make the Dockerfile fail it, or take it out of the first line."
    of_name = [check for check in result.checks if _covers(name, check.id)]
    if not of_name:
        near = closest(name, [check.id for check in result.checks])
        return f"There is no check `{name}`", f"Did you mean `{near}`?" if near else "Name a check of the rubric."
    skipped = next((check for check in of_name if check.status is Status.SKIPPED), None)
    if skipped:
        return f"`{name}` is skipped, not failed: {skipped.got}", "Name what fails only; what is skipped follows."
    return f"It does not fail `{name}`: {of_name[0].got}", fix


def _covers(name: str, result_id: str) -> bool:
    return name in (result_id, result_id.partition("/")[0])


def _failed(result: GradeResult) -> dict[str, CheckResult]:
    return {check.id: check for check in result.checks if check.status is Status.FAILED}


def _differences(
    first: GradeResult, second: GradeResult
) -> Iterator[tuple[str, CheckResult | None, CheckResult | None]]:
    """The checks that were judged otherwise the second time, with both verdicts."""
    before, after = ({check.id: check for check in result.checks} for result in (first, second))
    for one in {**before, **after}:
        pair = before.get(one), after.get(one)
        if len({(check.status, check.score) if check else None for check in pair}) > 1:
            yield one, *pair


def _told(check: CheckResult | None) -> str:
    return f"{check.status} ({check.got})" if check else "not there"


def _score(result: GradeResult) -> str:
    return "not graded" if result.score is None else f"{result.score:g}/{result.max_score:g}"
