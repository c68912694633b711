"""Grades on save, until somebody ends it: the state of such a session and what happens when, without a word of it.

Gradings run in the main thread, one after the other. A save, a key or the end of the input comes from another thread,
which leaves a wish and ends the grading that it supersedes (`running.Stop`), the way Ctrl-C would: the build is
cancelled, and what was made is removed.
"""

from __future__ import annotations

import queue
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from grader import grading
from grader.learn import structure
from grader.learn.saves import Saves
from grader.request import Request, Seen
from grader.result import Fault, Status, silent
from grader.running import Stop, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.result import GradeResult, Progress

#: Seconds that one wait lasts: on Windows it cannot be interrupted.
_SLICE = 0.5


@dataclass(frozen=True)
class Task:
    """What is worked on: an exercise, and the folder that is graded."""

    exercise: Exercise
    rubric: Rubric
    folder: Path


@dataclass(frozen=True)
class Run:
    """A grading that came to its end."""

    task: Task
    result: GradeResult
    seen: Seen


class Wish(IntEnum):
    """What is to be done next. Of several that wait the greatest is done, and stands for all."""

    GRADE = 1
    NEXT = 2
    QUIT = 3


class View(Protocol):
    """Who is told. ``structure`` and ``polls`` come from another thread than the rest."""

    def watching(self, task: Task) -> None:
        """A task is worked on from now on."""

    def structure(self, found: structure.Structure) -> None:
        """What the files looked like right after they were saved."""

    def polls(self) -> None:
        """Events do not arrive from this folder; it is looked at again and again instead."""

    def grading(self) -> AbstractContextManager[Progress]:
        """A grading goes on while the context lasts."""

    def verdict(self, run: Run, before: Run | None) -> None:
        """A grading has ended, the one before it was ``before``."""

    def superseded(self) -> None:
        """A grading was ended, because of newer files or because of a key."""


class Watch:
    """A session. ``again``, ``next``, ``quit`` and ``finish`` may be called from any thread."""

    def __init__(
        self,
        task: Task,
        view: View,
        engine: Callable[[Progress], Engine],
        *,
        following: Callable[[Task], Task | None],
        stand_ins: bool = False,
    ) -> None:
        """``engine`` finds an engine; ``following`` the task after one, None (and tells why) where there is none."""
        self.task = task
        self.last: Run | None = None
        self._view = view
        self._connect = engine
        self._following = following
        self._stand_ins = stand_ins
        self._engine: Engine | None = None
        # Written in C: Ctrl-C while it is waited for cannot leave its lock taken.
        self._wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self._stop = Stop()
        self._busy = threading.Lock()
        self._digest: str | None = None
        self._wishing = threading.Lock()
        self._progress: Progress = silent

    # --- wishes, from any thread ------------------------------------------------------------------------------------

    def again(self) -> None:
        """Grades once more, whatever goes on."""
        self._wish(Wish.GRADE)

    def next(self) -> None:
        """Goes on with the next exercise."""
        self._wish(Wish.NEXT)

    def quit(self) -> None:
        """Ends the session now."""
        self._wish(Wish.QUIT)

    def finish(self) -> None:
        """Ends the session when the grading that goes on has ended."""
        self._wishes.put(Wish.QUIT)

    def _wish(self, wish: Wish) -> None:
        with self._wishing:
            self._wishes.put(wish)
            self._stop.ask()

    def _saved(self) -> None:
        digest = None
        with suppress(Exception):  # whatever it is, the grading meets it too, and says what it is
            found = structure.judge(self._request(self.task))
            digest = found.digest
            self._view.structure(found)
        # Saved again without a change: a grading of these very files need not begin anew.
        if not (self._busy.locked() and digest and digest == self._digest):
            self._digest = digest
            self._wish(Wish.GRADE)

    # --- the main thread --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until somebody quits. Raises KeyboardInterrupt when interrupted, with nothing left behind."""
        task: Task | None = self.task
        while task:
            self.task = task
            task = self._work_on(task)

    def _work_on(self, task: Task) -> Task | None:
        """Grades on every save, until another task is worked on, or none."""
        self._view.watching(task)
        with ExitStack() as stack:
            saves = stack.enter_context(Saves(task.folder, task.rubric.settings.submit, self._saved))
            found = structure.judge(self._request(task))
            self._digest = found.digest
            self._view.structure(found)
            told = False
            wish = Wish.GRADE
            while wish is not Wish.QUIT:
                if wish is Wish.NEXT and (after := self._following(task)):
                    return after
                if wish is Wish.GRADE:
                    self._grade(task)
                if saves.polls and not told:
                    told = True
                    self._view.polls()
                wish = self._wait()
        return None

    def _wait(self) -> Wish:
        wish = None
        while wish is None:
            try:
                wish = self._wishes.get(timeout=_SLICE)
            except queue.Empty:
                continue
        with self._wishing:
            while not self._wishes.empty():
                wish = max(wish, self._wishes.get())
            self._stop.clear()
        return wish

    def _grade(self, task: Task) -> None:
        last = self.last
        try:
            with self._busy, self._view.grading() as progress:
                self._progress = progress
                judged = partial(self._judged, task)
                grading.grade(self._request(task, progress=progress, stop=self._stop, judged=judged))
        except Superseded:
            if self.last is last:
                self._view.superseded()

    def _judged(self, task: Task, result: GradeResult, seen: Seen) -> None:
        if result.status is Status.ERROR and result.fault is Fault.INFRASTRUCTURE:
            # Perhaps the engine will be started anew, or another one answers then.
            self._engine = None
        before, self.last = self.last, Run(task, result, seen)
        self._view.verdict(self.last, before if before and before.task == task else None)

    def _request(self, task: Task, **more: object) -> Request:
        return Request(
            exercise=task.exercise,
            rubric=task.rubric,
            folder=task.folder,
            engine=self._connected,
            stand_ins=self._stand_ins,
            **more,  # type: ignore[arg-type]  # the names of Request's own fields
        )

    def _connected(self) -> Engine:
        """The engine, found once: connecting anew would cost every run a few round trips."""
        if self._engine is None:
            self._engine = self._connect(self._progress)
        return self._engine
