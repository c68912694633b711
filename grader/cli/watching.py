"""What `grader watch` shows: the verdicts, what it says between them, and its answers to keys."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from grader import reports
from grader.checks import types
from grader.cli import hint
from grader.cli.grade import lines_of
from grader.cli.progress import ProgressView
from grader.cli.recording import Recording
from grader.course import rubric
from grader.course.units import human_time
from grader.files import written
from grader.learn import starters
from grader.learn.changes import changes
from grader.learn.watch import Run, Task, Watch
from grader.reports import Telling
from grader.reports._text import last_state, one_line
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from grader.course.exercise import Exercise
    from grader.learn.structure import Structure
    from grader.result import Progress

KEYS = "Keys: h hint, r run again, l build log, a app log, d what changed, o report, n next exercise, q quit."
#: Lines of a step's log that are shown without `--verbose`: the last ones.
_LOG_LINES = 30


def task_of(exercise: Exercise, folder: Path) -> Task:
    """The exercise with its whole rubric: it is read once, and kept for every run."""
    return Task(exercise, rubric.load(exercise.rubric_path, types()), folder)


def following(task: Task) -> Task | str:
    """The next exercise where a learner has begun it beside this one; else how to begin it, in words."""
    exercises = task.exercise.course.exercises
    index = exercises.index(task.exercise) + 1
    if index >= len(exercises):
        return "This was the last exercise of the course."
    after = exercises[index]
    here = task.folder.resolve()
    if here == task.exercise.starter:
        return task_of(after, after.starter)
    folder = _begun(after, here.parent)
    if folder:
        return task_of(after, folder)
    return f"Next is {after.id}, {after.title}. `grader start {after.id}` begins it; then `grader watch` there."


def _begun(exercise: Exercise, beside: Path) -> Path | None:
    from grader.course.exercise import resolve  # noqa: PLC0415
    from grader.errors import GraderError  # noqa: PLC0415

    for folder in sorted(beside.iterdir()):
        if (folder / "Dockerfile").is_file():
            try:
                found = resolve(exercise.course, None, cwd=folder)
            except GraderError:
                continue
            if found == exercise:
                return folder
    return None


class Screen:
    """Tells a session, line after line; nothing that was told is painted over."""

    def __init__(self, *, verbose: bool, plain: bool) -> None:
        """``keys`` says whether there are any, once that is known."""
        self.keys = False
        self._verbose = verbose
        self._plain = plain
        self._hinted: set[tuple[str, str]] = set()
        self._last: Run | None = None
        self._before: Run | None = None
        self._live = ProgressView(verbose=verbose, plain=plain)

    # --- what a session tells (`learn.watch.View`) ------------------------------------------------------------------

    def watching(self, task: Task) -> None:
        """A task is worked on from now on."""
        self._last = self._before = None
        self._hinted.clear()
        names = ", ".join(task.rubric.settings.submit)
        self.say(f"Watching {task.folder} for {task.exercise.id}; graded on each save of {names}.")
        if self.keys:
            self.say(KEYS)

    def structure(self, found: Structure) -> None:
        """What the files look like before they are built, as a few lines."""
        clock = f"{datetime.now().astimezone():%H:%M:%S}"
        if found.problem:
            place = f"Dockerfile line {found.problem.line}: " if found.problem.line else ""
            self.say("", f"{clock} {place}{found.problem.what}", *([found.problem.fix] if found.problem.fix else []))
            return
        failed = [check for check in found.checks if check.status is Status.FAILED]
        self.say("", f"{clock} The Dockerfile {'is not as asked yet' if failed else 'can be built'}.")
        for check in failed:
            place = f" (line {check.line})" if check.line and f"line {check.line}" not in check.got else ""
            self.say(f"FAILED: {check.title}: {check.got}{place}")

    def polls(self) -> None:
        """The folder does not tell by itself."""
        self.say("This folder does not tell when files change (a network mount?); it is looked at ten times a second.")

    @contextmanager
    def grading(self) -> Iterator[Progress]:
        """The live lines of one grading."""
        with ProgressView(verbose=self._verbose, plain=self._plain) as progress:
            self._live = progress
            yield progress

    def verdict(self, run: Run, before: Run | None) -> None:
        """The verdict, as `grade` prints it and keeps it."""
        recording = _recording(run)
        run = replace(run, result=recording.counted(run.result))
        # As it was told: hints that cost points have been taken off.
        before = self._last if before else None
        self._last, self._before = run, before
        began = starters.size(run.task.exercise, run.task.rubric.settings, run.result)
        image = before.result.image if before else None
        sizes = [("starter", began), ("last run", image.size if image else None)]
        beside = tuple((name, size) for name, size in sizes if size is not None)
        telling = Telling(lines_of(run.seen.dockerfile), self._verbose, before=beside)
        with self._live.aside():
            click.echo()
            reports.load("plain" if self._plain else "terminal")(run.result, telling, sys.stdout)
            sys.stdout.flush()
            recording.keep(run.result, telling.dockerfile)
        if before and before.result.score != run.result.score:
            self.say(f"Since the last run: {changes(run, before)[0]}")

    def superseded(self) -> None:
        """A grading was ended."""
        self.say("Stopped; beginning again.")

    # --- keys -------------------------------------------------------------------------------------------------------

    def key(self, key: str, session: Watch) -> None:
        """Does what a key stands for; from a thread of its own."""
        wish = {"r": session.again, "n": session.next, "q": session.quit}.get(key)
        if wish:
            wish()
            return
        answer = {"h": self._hint, "l": self._build_log, "a": self._app_log, "d": self._changes, "o": self._report}
        if key in answer:
            self.say(*(answer[key](self._last) if self._last else ["There is no verdict yet."]))
        elif key.isprintable() and key.strip():
            self.say(KEYS)

    def _hint(self, run: Run) -> list[str]:
        last = _recording(run).last(run.result, lines_of(run.seen.dockerfile))
        return hint.one_more(run.task.exercise, last, self._hinted)

    def _changes(self, run: Run) -> list[str]:
        return ["Since the last run:", *changes(run, self._before)] if self._before else changes(run, None)

    def _app_log(self, run: Run) -> list[str]:
        evidence = [check.evidence.get("app_log") or () for check in run.result.checks]
        app = run.result.app
        log: Sequence[str] = (app and app.log) or next((found for found in evidence if found), ())
        return ["What the app printed:", *self._indented(log)] if log else ["The app printed nothing, or was not run."]

    def _build_log(self, run: Run) -> list[str]:
        lines = ["How the image was built:"]
        for step in run.seen.steps:
            if step.name.startswith(("[internal]", "copy /context ")):
                continue
            took = "cached" if step.cached else human_time(step.duration) if step.duration is not None else "not ended"
            lines.append(f"{step.name} ({took}{', failed' if step.error else ''})")
            lines += self._indented(step.log.splitlines())
        return lines if len(lines) > 1 else ["Nothing was built."]

    def _indented(self, log: Sequence[str]) -> list[str]:
        shown = log if self._verbose else log[-_LOG_LINES:]
        more = (
            [f"  … {len(log) - len(shown)} lines before these; --verbose shows them"] if len(shown) < len(log) else []
        )
        return more + [f"  | {last_state(line).rstrip()}" for line in shown]

    def _report(self, run: Run) -> list[str]:
        import platformdirs  # noqa: PLC0415

        path = platformdirs.user_cache_path("image-grader") / "reports" / f"{run.task.exercise.id}.html"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with written(path) as out:
                reports.load("html")(run.result, Telling(lines_of(run.seen.dockerfile), verbose=True), out)
        except OSError as error:
            return [f"The report cannot be written to {path}: {error.strerror}"]
        return [f"The report: {path}" if not _open(path) else f"The report opens in a browser: {path}"]

    def say(self, *lines: str) -> None:
        """Prints lines, whatever is shown live; what a learner's program wrote is data here too."""
        with self._live.aside():
            for line in lines:
                shown = line if line.startswith("  | ") else one_line(line)
                click.echo(shown if self._plain or not sys.stdout.isatty() else self._wrapped(shown))
            sys.stdout.flush()

    @staticmethod
    def _wrapped(line: str) -> str:
        from rich.text import Text  # noqa: PLC0415

        from grader.reports import terminal  # noqa: PLC0415

        screen = terminal.console(sys.stdout)
        return "\n".join(part.plain.rstrip() for part in Text(line).wrap(screen, screen.width)) or ""


def _recording(run: Run) -> Recording:
    """A run's part in a learner's progress."""
    return Recording(run.task.exercise, run.task.rubric, run.task.folder, partial=False)


def _open(path: Path) -> bool:
    """Opens a browser where there is a screen for one; not one that would take the terminal over."""
    import os  # noqa: PLC0415
    import webbrowser  # noqa: PLC0415

    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(path.as_uri())
