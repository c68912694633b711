"""A Dask cluster as the place where gradings are done: https://distributed.dask.org.

Dask decides who of those that may (`crew`) grades what, and gives what a worker was at when it died to another one. The
files of a submission travel with its task; only the process that runs `grader bulk` writes verdicts down.
"""

from __future__ import annotations

import queue
import time
from asyncio import CancelledError as AsyncCancelledError
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import distributed

from grader import grading
from grader.bulk import remote
from grader.bulk.crew import Crew
from grader.bulk.one import collected
from grader.bulk.pool import Done
from grader.bulk.run import is_ours
from grader.bulk.scheduler import ANSWER, reached
from grader.errors import EngineError, GraderError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grader.bulk.pool import Bounds, Job
    from grader.bulk.scheduler import Scheduler
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.bases import Base

#: Seconds that a cluster may be without anybody who may grade.
NOBODY = 60.0
#: Times that a submission is sent again because the scheduler was lost, or whoever might grade it, before it is told.
_SENDS = 3


@contextmanager
def opened(
    address: str, exercise: Exercise, rubric: Rubric, bounds: Bounds, tell: Callable[[str], None]
) -> Iterator[Cluster]:
    """The cluster at ``address``, or ``local:N`` for one of N workers here, when at least one worker may grade.

    ``tell`` gets a line for each worker that is refused. Raises ``UsageError`` for what is no address, and
    ``EngineError`` for a cluster that cannot be used.
    """
    work = remote.pack(exercise.path, rubric.settings.bases, bounds)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
        scheduler = stack.enter_context(reached(address))
        crew = Crew(scheduler.present, scheduler.ask, work, tell)
        stack.callback(crew.end)
        _gather(crew, address)
        yield Cluster(scheduler, crew, work, (exercise, rubric), bounds.most)


def _gather(crew: Crew, address: str) -> None:
    """Waits for the first who may grade."""
    deadline = time.monotonic() + NOBODY
    while not crew.fit:
        crew.look()
        if crew.fit:
            break
        if crew.refused:
            raise EngineError(
                "No worker of the cluster can grade",
                "Mend what they are refused for, and run the same command again.",
                where=address,
            )
        if time.monotonic() > deadline:
            fix = f"Start some: `dask worker {address} --nthreads 1`, where an engine and the grader are."
            raise EngineError(f"The cluster has had no worker for {NOBODY:g} s", fix, where=address)
        time.sleep(0.1)
    crew.begin()


class Cluster:
    """The pool: as many seats as those who may grade have threads."""

    def __init__(
        self,
        scheduler: Scheduler,
        crew: Crew,
        work: remote.Exercise,
        asked: tuple[Exercise, Rubric],
        most: int | None,
    ) -> None:
        """``asked`` is what ``work`` is made of; ``most`` bounds the gradings at a time."""
        self.scheduler = scheduler
        self.crew = crew
        self.work = work
        self.asked = asked
        self.news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._most = most

    @property
    def bases(self) -> tuple[Base, ...]:
        """The base images that they have."""
        return self.crew.bases

    @property
    def room(self) -> int:
        """How many may be graded at a time."""
        threads = sum(member.threads for member in self.crew.fit.values())
        return max(1, min(threads, self._most or threads))

    def nobody(self) -> str:
        """Why nothing is graded, when nobody may."""
        if self.crew.away:
            return self.crew.away
        refused = [f"{name} ({why})" for name, why in self.crew.refused.items()]
        return "no worker of the cluster can grade" + (f": {'; '.join(refused)}" if refused else "")

    def start(self) -> Seat:
        """One more of them."""
        return Seat(self)

    def wait(self, busy: Sequence[Seat], seconds: float) -> Sequence[Seat]:
        """Those that have an answer, or will never have one; none when ``seconds`` have passed."""
        while not self.news.empty():
            self.news.get()
        if ready := [seat for seat in busy if seat.ready()]:
            return ready
        with suppress(queue.Empty):
            self.news.get(timeout=seconds)
        return [seat for seat in busy if seat.ready()]


class Seat:
    """A grading on the cluster, wherever Dask has it done."""

    def __init__(self, cluster: Cluster) -> None:
        """It has nothing to do yet."""
        self.alive = True
        self._cluster = cluster
        self._job: Job | None = None
        self._sent: tuple[str, remote.Packed, tuple[str, ...]] | None = None
        self._future: Any = None
        self._on: frozenset[str] = frozenset()
        self._since = 0.0
        self._sends = 0
        self._done: Done | None = None

    def begin(self, job: Job) -> None:
        """Reads the submission, and sends it. One that is refused has its verdict already."""
        self._job, self._sent, self._done, self._future, self._since = job, None, None, None, time.monotonic()
        self._sends = 0
        self._go_on(job)

    def ready(self) -> bool:
        """Whether there is an answer, or will be none; what nobody is left to do is sent to somebody else."""
        assert self._job is not None  # noqa: S101  # only busy ones are asked
        if self._future is not None and self._is_dropped():
            self.interrupt()
            self._since = time.monotonic()
            if self._sends >= _SENDS:
                self._done = Done(self, self._job, None, self._cluster.nobody())
        if self._future is None and self._done is None:
            # Also when Ctrl-C came while it was begun.
            self._go_on(self._job)
        if self._future is None and self._done is None and time.monotonic() - self._since > NOBODY:
            self._done = Done(self, self._job, None, self._cluster.nobody())
        return self._done is not None or (self._future is not None and self._future.done())

    def _is_dropped(self) -> bool:
        """Whether nobody is at it any more: the scheduler has gone, or all who might have been."""
        if self._future.done():
            return bool(self._future.cancelled())
        return not self._on & set(self._cluster.crew.present)

    def take(self) -> Done:
        """What came of it; when Ctrl-C keeps it from telling, it is asked again."""
        if self._done is None:
            self._done = self._taken()
        return self._done

    def _taken(self) -> Done:
        """Who has met a fault of ours is asked what it is before it gets more."""
        assert self._job is not None  # noqa: S101  # only busy ones are asked
        try:
            address, result = self._future.result(timeout=ANSWER)
        except (Exception, CancelledError, AsyncCancelledError) as error:  # noqa: BLE001  # never a learner's
            return Done(self, self._job, None, _lost(error))
        if result is None or is_ours(result):
            self._cluster.crew.doubt(address)
        return Done(self, self._job, result, f"worker {address} has lost the exercise")

    def _go_on(self, job: Job) -> None:
        exercise, rubric = self._cluster.asked
        try:
            found = None if self._sent else collected(exercise, rubric, job.handed)
        except GraderError as error:
            self._done = Done(self, job, grading.refused(exercise, rubric, job.name, _placeless(error)).to_json())
            return
        except OSError as error:
            self._done = Done(self, job, None, f"it cannot be read: {error.strerror or error}")
            return
        if found:
            self._sent = (job.name, remote.as_packed(found.files, found.taken), found.ignored)
        self._submit()

    def _submit(self) -> None:
        fit = self._cluster.crew.fit
        if not fit or self._sent is None:
            return
        self._on = frozenset(fit)
        with suppress(Exception):  # a scheduler that is away; it is tried again
            self._future = self._cluster.scheduler.submit(
                sorted(fit), remote.grade, self._cluster.work.digest, *self._sent
            )
            self._future.add_done_callback(self._tell)
            self._sends += 1

    def _tell(self, _future: object) -> None:
        self._cluster.news.put(None)

    def interrupt(self) -> None:
        """What has begun on a worker goes on there, removes what it made, and counts for nothing."""
        if self._future is not None:
            with suppress(Exception):
                self._future.cancel()
            self._future = None

    def end(self) -> None:
        """Nothing of it is anywhere."""

    def join(self) -> None:
        """It has ended."""


def _placeless(error: GraderError) -> GraderError:
    """Learners who share the verdict are told nothing of one's place."""
    if isinstance(error, SubmissionError) and Path(error.where).is_absolute():
        error.where = "the submission"
    return error


def _lost(error: BaseException) -> str:
    if isinstance(error, distributed.KilledWorker):
        return "the workers that graded it died, one after the other"
    text = str(error).strip()
    return f"the cluster has lost it: {text.splitlines()[0] if text else type(error).__name__}"
