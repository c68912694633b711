"""A running app: how it is started, how it is asked, and what it says when it goes wrong."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from grader.engine.api import sdk
from grader.engine.faults.refusal import AppError, NotStartedError
from grader.engine.running import run
from grader.engine.running import state as states
from grader.engine.running.namespace import Answer, Namespace, Question
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.running.processes import Process, View

T = TypeVar("T")
_LOG_LINES = 20
_LOG_BYTES = 16_000
_LOOK_EVERY = 0.02


@dataclass(frozen=True)
class Options:
    """How an app is started and what tells that it is ready. Times are seconds, memory is bytes.

    ``at_most`` bounds ``within``, for who has less time. ``read_only`` leaves it nowhere to write but ``tmpfs``, which
    names directories, and the image's own volumes.
    """

    port: int
    path: str = "/"
    within: float = 30.0
    status: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int = 512_000_000
    internet: bool = False
    at_most: float = math.inf
    read_only: bool = False
    tmpfs: Sequence[str] = ()

    @property
    def patience(self) -> float:
        """Seconds that it has to become ready."""
        return min(self.within, self.at_most)


@dataclass(frozen=True)
class Stopped:
    """How an app took a signal; without an ``exit_code`` it went on and was killed. ``elapsed`` is seconds."""

    exit_code: int | None
    elapsed: float
    log: tuple[str, ...] = ()


@dataclass
class App:
    """A running app, ready to be asked."""

    engine: Engine = field(repr=False)
    container: str
    port: int
    namespace: Namespace = field(repr=False)
    started_in: float
    view: View = field(repr=False)

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """One HTTP exchange with the app; ``options`` are those of `Question`."""
        return self.namespace.ask(Question(method, path, self.port, **options))

    def log(self) -> tuple[str, ...]:
        """The last lines of what the app printed."""
        return last_lines(self.engine, self.container)

    def run(self, args: Sequence[str], **options: Any) -> run.Finished:
        """Runs a command in the app's container; ``options`` are those of `run.Command`, whose fences are the app's."""
        command = run.Command(args, **options)
        return self._beside(lambda: run.in_app(self.engine, self.container, command, self._end_commands))

    def processes(self) -> tuple[Process, ...]:
        """What runs in the container, PID 1 first."""
        return self._beside(self.view.processes)

    def stop(self, signal: str, within: float) -> Stopped:
        """Sends ``signal`` (`SIGTERM`) to PID 1, as `docker stop` does, and kills it when it still runs after that."""
        began = time.monotonic()
        self._kill(signal)
        while (state := states.of(self.engine, self.container)).get("Running"):
            if time.monotonic() - began > within:
                log = self.log()
                self._kill("SIGKILL")
                return Stopped(None, time.monotonic() - began, log)
            time.sleep(_LOOK_EVERY)
        return Stopped(int(state["ExitCode"]), time.monotonic() - began, self.log())

    def freeze(self) -> None:
        """Stops all that runs in the container (SIGSTOP): it keeps its port, but answers nobody."""
        with self._running():
            self._kill("SIGSTOP")
        self._beside(self.view.freeze)

    def thaw(self) -> None:
        """Lets what was frozen go on."""
        self._beside(self.view.thaw)
        with self._running():
            self._kill("SIGCONT")

    def _end_commands(self) -> None:
        """Where nobody can be told apart from here, what goes on goes with the app."""
        with suppress(EngineError):
            self.view.end()

    def _kill(self, signal: str) -> None:
        """To PID 1, if it still is there."""
        try:
            self.engine.client.kill(self.container, signal)
        except sdk.errors.APIError as error:
            if states.of(self.engine, self.container).get("Running"):
                raise EngineError(f"The engine does not send {signal}: {error.explanation}", "Grade again.") from error

    def _beside(self, do: Callable[[], T]) -> T:
        """What is done by something that is started beside the app, where who is root in it may end whatever starts.

        What its runtime fails to start twice, while it starts other things, fails because of the app.
        """
        with self._running():
            try:
                return do()
            except NotStartedError:
                self._check_engine()
            try:
                return do()
            except NotStartedError as error:
                self._check_engine()
                if not (state := states.of(self.engine, self.container)).get("Running"):
                    raise exited(state, self.log()) from None
                if not error.by_runtime:
                    raise
                raise AppError(
                    f"Nothing can be started beside the app, which may be what ends it: {error.said}",
                    "Let the app leave other processes alone.",
                    log=self.log(),
                ) from error

    def _check_engine(self) -> None:
        """Raises ``NotStartedError`` when the engine can start nothing at all; a name that is not there will do."""
        facts = self.engine.client.inspect_container(self.container)
        run.in_image(self.engine, facts["Image"], facts["Config"]["Labels"], run.Command(["/no/such/program"]))

    @contextmanager
    def _running(self) -> Iterator[None]:
        """What goes wrong because the app is not there any more is the app's doing, not the engine's."""
        try:
            yield
        except EngineError:
            state = states.of(self.engine, self.container)
            if state.get("Running"):
                raise
            raise exited(state, self.log()) from None


def last_lines(engine: Engine, container: str) -> tuple[str, ...]:
    """The last lines that a container printed, to stdout and stderr; a learner's data."""
    try:
        raw: bytes = engine.client.logs(container, stdout=True, stderr=True, tail=_LOG_LINES)
    except (sdk.errors.APIError, sdk.requests.RequestException):
        return ()
    return tuple(raw[-_LOG_BYTES:].decode(errors="replace").splitlines()[-_LOG_LINES:])


def exited(state: Mapping[str, Any], log: tuple[str, ...]) -> AppError:
    """Why an app that should go on running did not; ``state`` is the engine's, of its container."""
    code = state.get("ExitCode")
    if state.get("OOMKilled"):
        return AppError("The app was ended for using more memory than it may", "Let it use less.", log=log)
    return AppError(
        f"The app ended, with exit code {code}",
        "The command has to start the server and stay in the foreground."
        if code == 0
        else "Its last log lines say why.",
        log=log,
    )
