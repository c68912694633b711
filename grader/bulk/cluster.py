"""A Dask cluster as the place where gradings are done: https://distributed.dask.org.

Dask decides who of those that may (`crew`) grades what, and gives what a worker was at when it died to another one. The
files of a submission travel with its task; only the process that runs `grader bulk` writes verdicts down.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
import warnings
from asyncio import CancelledError as AsyncCancelledError
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import distributed
from distributed.versions import VersionMismatchWarning

from grader import grading
from grader.bulk import remote
from grader.bulk.crew import Crew, Member
from grader.bulk.one import collected
from grader.bulk.pool import Done
from grader.bulk.run import is_ours
from grader.engine import leftovers
from grader.engine.connect import connect
from grader.errors import EngineError, GraderError, SubmissionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grader.bulk.pool import Job
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.bases import Base

#: Seconds that a scheduler has to answer, and that a cluster may be without anybody who may grade.
ANSWER, NOBODY = 10.0, 60.0
_LOCAL = re.compile(r"local(?::(?P<workers>[1-9]\d{0,2}))?")
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d{1,5}")


@contextmanager
def opened(  # noqa: PLR0913  # what a command lets its user say
    address: str, exercise: Exercise, rubric: Rubric, *, stand_ins: bool, most: int | None, tell: Callable[[str], None]
) -> Iterator[Cluster]:
    """The cluster at ``address``, or ``local:N`` for one of N workers here, when at least one worker may grade.

    ``most`` bounds the gradings at a time; ``tell`` gets a line for each worker that is refused. Raises ``UsageError``
    for what is no address, and ``EngineError`` for a cluster that cannot be used.
    """
    # What it reports of connections is told by us, in the words of a run.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    work = remote.pack(exercise.path, rubric.settings.bases, stand_ins=stand_ins)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
        client = stack.enter_context(_connected(address))
        crew = Crew(lambda: _present(client), _asker(client), work, tell)
        stack.callback(crew.end)
        _gather(crew, address)
        yield Cluster(client, crew, work, (exercise, rubric), most)


@contextmanager
def _connected(address: str) -> Iterator[distributed.Client]:
    local = _LOCAL.fullmatch(address)
    _check(address)
    with ExitStack() as stack:
        try:
            with warnings.catch_warnings():
                # Told below, where it is certain to end in an error.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                place = stack.enter_context(_started(int(local["workers"] or 2))) if local else address
                client = stack.enter_context(distributed.Client(place, timeout=ANSWER, set_as_default=False))
            theirs = client.sync(client.scheduler.versions)["packages"]["distributed"]
        except Exception as error:
            raise _unreached(address, error) from error
        if theirs != remote.dask():
            raise EngineError(
                f"The scheduler has Dask {theirs}, here it is {remote.dask()}; they do not go together",
                f"Install the same here (`pip install distributed=={theirs}`), or there.",
                where=address,
            )
        yield client


def _check(address: str) -> None:
    if not _LOCAL.fullmatch(address) and not _ADDRESS.fullmatch(address):
        fix = "It reads tcp://HOST:8786, tls://HOST:8786, or local:2 for two workers on this machine."
        raise UsageError(f"This is no address of a Dask scheduler: {address}", fix, where="--cluster")
    if address.startswith("tls://") and not dask.config.get("distributed.comm.tls.ca-file", None):
        raise UsageError(
            "The scheduler asks for TLS, and no certificates were named",
            "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, and DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and …__KEY.",
            where=address,
        )


def _unreached(address: str, error: Exception) -> EngineError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return EngineError(
        f"No Dask scheduler answers: {reason}",
        "See that `dask scheduler` runs there, speaks tcp or tls as the address says, and is reached from here.",
        where=address,
    )


@contextmanager
def _started(workers: int) -> Iterator[distributed.LocalCluster]:
    """A cluster here, which nobody else on this machine can talk to: its certificates are in memory alone."""
    # Inherited: Ctrl-C, which a terminal sends to all processes alike, is for who began the run to heed.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        started = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
            protocol="tls", security=True, silence_logs=logging.CRITICAL,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        with started:
            yield started
    finally:
        # What a worker could not: it was ended over its work.
        with suppress(OSError, GraderError):
            leftovers.sweep(connect())


def _present(client: distributed.Client) -> dict[str, Member]:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {address: Member(_name(address, told), int(told["nthreads"])) for address, told in workers.items()}


def _name(address: str, told: Mapping[str, Any]) -> str:
    """As a person would say which: its address, with the name that it was given, and its host's where that tells."""
    given = str(told.get("name", address))
    return address if given == address else f"{given} ({address})"


def _asker(client: distributed.Client) -> Callable[..., Mapping[str, Any]]:
    def ask(addresses: Sequence[str], function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        told: Mapping[str, Any] = client.run(function, *arguments, workers=list(addresses), on_error="return")
        return told

    return ask


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
        client: distributed.Client,
        crew: Crew,
        work: remote.Exercise,
        asked: tuple[Exercise, Rubric],
        most: int | None,
    ) -> None:
        """``asked`` is what ``work`` is made of; ``most`` bounds the gradings at a time."""
        self.client = client
        self.crew = crew
        self.work = work
        self.asked = asked
        self.news = threading.Event()
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
        refused = [f"{name} ({why})" for name, why in self.crew.refused.items()]
        return "no worker of the cluster can grade" + (f": {'; '.join(refused)}" if refused else "")

    def start(self) -> Seat:
        """One more of them."""
        return Seat(self)

    def wait(self, busy: Sequence[Seat], seconds: float) -> Sequence[Seat]:
        """Those that have an answer, or will never have one; none when ``seconds`` have passed."""
        self.news.clear()
        if ready := [seat for seat in busy if seat.ready()]:
            return ready
        self.news.wait(seconds)
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
        self._done: Done | None = None

    def begin(self, job: Job) -> None:
        """Reads the submission, and sends it. One that is refused has its verdict already."""
        self._job, self._sent, self._done, self._future, self._since = job, None, None, None, time.monotonic()
        self._go_on(job)

    def ready(self) -> bool:
        """Whether there is an answer, or will be none; what nobody is left to do is sent to somebody else."""
        assert self._job is not None  # noqa: S101  # only busy ones are asked
        if self._future is not None and not self._future.done() and not self._on & set(self._cluster.crew.present):
            self.interrupt()
        if self._future is None and self._done is None:
            # Also when Ctrl-C came while it was begun.
            self._go_on(self._job)
        if self._future is None and self._done is None and time.monotonic() - self._since > NOBODY:
            self._done = Done(self, self._job, None, self._cluster.nobody())
        return self._done is not None or (self._future is not None and self._future.done())

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
            self._future = self._cluster.client.submit(
                remote.grade, self._cluster.work.digest, *self._sent,
                workers=sorted(fit), allow_other_workers=False, pure=False,
            )  # fmt: skip
            self._future.add_done_callback(self._tell)

    def _tell(self, _future: object) -> None:
        self._cluster.news.set()

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
