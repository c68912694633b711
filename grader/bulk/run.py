"""A class is graded: each submission that has no verdict yet, side by side, until all have one.

A fault of ours is tried again, later and later. When there are many in a row, it is not the submissions: the run
pauses, tries one from time to time, and goes on when that works. A verdict is kept before anybody hears of it. What
another run on the same journal is at is waited for, and its verdict taken.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol

from grader.bulk.pause import Pause
from grader.bulk.pool import Job, W

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grader.bulk.journal import Journal, Key
    from grader.bulk.learner import Handed
    from grader.bulk.pool import Done, Pool

#: Seconds to the second and the third try of what failed through no fault of the learner's.
RETRIES = (2.0, 10.0)
#: Longest wait for something to happen, in seconds: what is shown of a run is as old as that at most.
_LOOK = 0.5


@dataclass(frozen=True)
class Task:
    """What is graded once: a submission, for all who have handed in the same.

    ``times`` is how often it had been graded when that was asked for: a verdict that another run brings later is taken.
    """

    key: Key
    name: str
    handed: Handed
    times: int = 0


@dataclass(frozen=True)
class State:
    """How far a run has come: its tasks by where they are, and why it pauses, when it does.

    ``elsewhere`` are those of the ``waiting`` ones that another run is at.
    """

    running: int
    waiting: int
    paused: str
    elsewhere: int = 0


class Watcher(Protocol):
    """Who is told of a run while it goes on."""

    def verdict(self, task: Task, result: dict[str, Any]) -> None:
        """There is a new verdict, and it is kept."""

    def now(self, state: State) -> None:
        """How it is; told twice a second, and whenever something has changed."""


class Run(Generic[W]):
    """The submissions of one run; made of whatever has to be graded, then `go`."""

    def __init__(  # noqa: PLR0913  # whom it works with
        self,
        tasks: Iterable[Task],
        journal: Journal,
        watcher: Watcher,
        *,
        pool: Pool[W],
        lost: Callable[[str, str], dict[str, Any]],
        space: Callable[[], str] = lambda: "",
    ) -> None:
        """They are graded by the workers of ``pool``, as many at a time as it has room for.

        ``space`` is asked before each: why there is no room on the engine's disk, empty when there is.

        ``lost`` makes the result of a submission, by its learner's name, that no worker has brought one of, and why.
        """
        self._ready = deque(tasks)
        self._later: list[tuple[float, int, Task]] = []
        self._elsewhere: list[Task] = []
        self._asked = 0.0
        self._numbers = itertools.count()
        self._journal = journal
        self._watcher = watcher
        self._pool = pool
        self._lost = lost
        self._space = space
        self._pause = Pause(after=max(3, 2 * min(pool.room, len(self._ready))))
        self._tries: Counter[Key] = Counter()
        self._workers: dict[W, Task | None] = {}
        self._ending = False

    def go(self, patience: float) -> None:
        """Grades until there is nothing left; what could not be graded is left as an error.

        ``patience`` bounds a pause, in seconds. Ctrl-C lets what runs end and begins nothing more; again, and it is
        dropped, with nothing left behind. Either way this leaves as KeyboardInterrupt.
        """
        try:
            self._until_done(patience)
        except BaseException:
            for worker in self._workers:
                worker.interrupt()
            raise
        finally:
            for worker in self._workers:
                worker.end()
            for worker in self._workers:
                worker.join()

    def _until_done(self, patience: float) -> None:
        while self._busy or (self._waiting and not self._ending):
            try:
                self._turn(patience)
            except KeyboardInterrupt:
                if self._ending:
                    raise
                self._ending = True
                self._watcher.now(self._state)
        if self._ending:
            raise KeyboardInterrupt

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _turn(self, patience: float) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._later)[2])
        if self._elsewhere and time.monotonic() - self._asked >= _LOOK:
            self._asked = time.monotonic()
            self._ready.extend(self._elsewhere)
            self._elsewhere.clear()
        if self._pause.longer_than(patience):
            self._give_up()
        if not self._ending:
            self._hand_out()
        self._watcher.now(self._state)
        if not self._busy:
            # Nothing runs: something waits for its time to come.
            time.sleep(min(_LOOK, 0.1))
            return
        for worker in self._pool.wait(self._busy, _LOOK):
            self._take(worker, worker.take())

    @property
    def _busy(self) -> list[W]:
        return [worker for worker, task in self._workers.items() if task]

    @property
    def _waiting(self) -> int:
        return len(self._ready) + len(self._later) + len(self._elsewhere)

    @property
    def _state(self) -> State:
        return State(len(self._busy), self._waiting, self._pause.reason, len(self._elsewhere))

    def _hand_out(self) -> None:
        while self._ready and self._has_room():
            task = self._ready.popleft()
            if not self._journal.claim(task.key):
                self._elsewhere.append(task)
                continue
            # Asked when it is ours: until then another run may bring one.
            status, times = self._journal.standing(task.key)
            if status in ("passed", "failed") and times != task.times:
                self._journal.release(task.key)
                self._watcher.verdict(task, self._journal.result(task.key) or {})
                continue
            worker = self._idle()
            self._workers[worker] = task
            worker.begin(Job(task.name, task.handed))

    def _has_room(self) -> bool:
        """Whether one more may be graded now: a run that pauses tries one at a time."""
        if len(self._busy) >= self._pool.room:
            return False
        if full := self._space():
            self._pause.hold(full)
        else:
            self._pause.let_go()
        return self._pause.may_try and not (self._pause.reason and self._busy)

    def _idle(self) -> W:
        for worker in [worker for worker, task in self._workers.items() if not task]:
            if worker.alive:
                return worker
            del self._workers[worker]
        return self._pool.start()

    # --- what comes back ----------------------------------------------------------------------------------------------

    def _take(self, worker: W, done: Done) -> None:
        task = self._workers[worker]
        self._workers[worker] = None
        assert task is not None  # noqa: S101  # only busy ones are asked
        result = done.result or self._lost(task.name, done.why)
        if not is_ours(result):
            self._pause.verdict()
        elif self._again(task, result):
            return
        self._settle(task, result)

    def _again(self, task: Task, result: dict[str, Any]) -> bool:
        """Puts off what met a fault of ours; False when it was tried often enough."""
        paused = bool(self._pause.reason)
        self._pause.fault(reason(result))
        if paused:
            # A try of a run that pauses: it tells that the fault is still there, and nothing of this submission.
            self._ready.append(task)
            return True
        self._tries[task.key] += 1
        if self._tries[task.key] > len(RETRIES):
            return False
        due = time.monotonic() + RETRIES[self._tries[task.key] - 1]
        heapq.heappush(self._later, (due, next(self._numbers), task))
        return True

    def _settle(self, task: Task, result: dict[str, Any]) -> None:
        self._journal.keep(task.key, result)
        self._watcher.verdict(task, result)

    def _give_up(self) -> None:
        """What waits has no verdict, and is told as an error; another run grades it."""
        waiting = [*self._ready, *(task for _, _, task in self._later), *self._elsewhere]
        self._ready.clear()
        self._later.clear()
        self._elsewhere.clear()
        for task in waiting:
            self._settle(task, self._lost(task.name, self._pause.reason))


def is_ours(result: dict[str, Any]) -> bool:
    """Whether there is no verdict for a fault of ours, which another try may not meet."""
    faults = {check["fault"] for check in result["checks"]} | {(result["problem"] or {}).get("fault")}
    return result["status"] == "error" and "infrastructure" in faults


def reason(result: dict[str, Any]) -> str:
    """What went wrong, of a result that is an error."""
    if result["problem"]:
        return str(result["problem"]["what"])
    return next((str(check["got"]) for check in result["checks"] if check["status"] == "error"), "")
