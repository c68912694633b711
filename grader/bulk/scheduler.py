"""A connection to Dask's scheduler, which is made again when it was lost; or a scheduler and workers of our own."""

from __future__ import annotations

import logging
import re
import signal
import warnings
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import dask
import distributed
from distributed.versions import VersionMismatchWarning

from grader.bulk import remote
from grader.bulk.crew import Member
from grader.engine import leftovers
from grader.engine.connect import connect
from grader.errors import EngineError, GraderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Seconds that a scheduler has to answer.
ANSWER = 10.0
_LOCAL = re.compile(r"local(?::(?P<workers>[1-9]\d{0,2}))?")
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d{1,5}")


class Scheduler:
    """Who knows the workers; asked from one thread, and given tasks from another."""

    def __init__(self, place: Any, address: str) -> None:
        """``place`` is its address, or a cluster of our own. Raises ``EngineError`` when it cannot be used."""
        self._place = place
        self._address = address
        self._client = self._connected()

    def close(self) -> None:
        """Whatever it was given counts for nothing any more."""
        with suppress(Exception):
            self._client.close()

    def present(self) -> Mapping[str, Member]:
        """The workers, by their addresses. Raises what is wrong with the connection, after an attempt to mend it."""
        if self._client.status == "closed":
            self._client = self._connected()
        if self._client.status != "running":
            raise EngineError("The connection to the scheduler is lost")
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return {address: Member(_name(address, told), int(told["nthreads"])) for address, told in workers.items()}

    def ask(self, addresses: Sequence[str], function: Callable[..., Any], *arguments: object) -> Mapping[str, Any]:
        """What a function returns on each of these workers, or an exception; it waits for no task."""
        told: Mapping[str, Any] = self._client.run(function, *arguments, workers=list(addresses), on_error="return")
        return told

    def submit(self, addresses: Sequence[str], function: Callable[..., Any], *arguments: object) -> Any:
        """Has one of these workers call a function, and another of them when that one dies; a future."""
        return self._client.submit(function, *arguments, workers=list(addresses), allow_other_workers=False, pure=False)

    def _connected(self) -> distributed.Client:
        try:
            with warnings.catch_warnings():
                # Told below, as the error that it is certain to end in.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                client = distributed.Client(self._place, timeout=ANSWER, set_as_default=False)
            told: Any = client.scheduler
            theirs = client.sync(told.versions)["packages"]["distributed"]
        except Exception as error:
            raise _unreached(self._address, error) from error
        if theirs != remote.dask():
            client.close()
            raise EngineError(
                f"The scheduler has Dask {theirs}, here it is {remote.dask()}; they do not go together",
                f"Install the same here (`pip install distributed=={theirs}`), or there.",
                where=self._address,
            )
        return client


@contextmanager
def reached(address: str) -> Iterator[Scheduler]:
    """The scheduler at ``address``; ``local:N`` is one with N workers here, for as long as the block.

    Raises ``UsageError`` for what is no address, ``EngineError`` when none is reached, or none that can be used.
    """
    # What Dask reports of connections is told by us, in the words of a run.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    _check(address)
    local = _LOCAL.fullmatch(address)
    with _started(int(local["workers"] or 2)) if local else nullcontext(address) as place:
        scheduler = Scheduler(place, address)
        try:
            yield scheduler
        finally:
            scheduler.close()


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


def _name(address: str, told: Mapping[str, Any]) -> str:
    """As a person would say which: its address, with the name that it was given, and its host's where that tells."""
    given = str(told.get("name", address))
    return address if given == address else f"{given} ({address})"
