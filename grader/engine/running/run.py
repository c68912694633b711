"""Runs one command, in a container of its own or in one that runs already, and reads what it prints as data.

The command is the learner's program as much as the app is: it shows what the image does, and can be made to lie. What
bounds it are the fences of its container, its time and what is kept of its output.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from grader.engine import fences
from grader.engine.api import frames, sdk
from grader.engine.api.client import created, has
from grader.engine.faults.refusal import cannot_be_called, start_failure
from grader.engine.running import state as states
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grader.engine.connect import Engine

#: Seconds that the engine has to tell the end of what has ended, and to bring what was printed last.
_GRACE = 10.0
#: Seconds that output may still come after its command has ended: what it left running may hold the pipe for ever.
_LAST_WORDS = 0.5
#: The part of the time that a wait for its end takes at least: clocks are not exact to the last.
_NEARLY = 0.98
#: What engines give for a command that they could not start; 125 is Podman's for what is not the program's fault.
_NEVER_RAN = (125, 126, 127)
#: How often the engine is asked whether an exec has ended, in seconds, while its output goes on and after that.
_ASK_EVERY = 0.2
_LOOK_EVERY = 0.02


@dataclass(frozen=True)
class Command:
    """What to run, without a shell. ``within`` is seconds, ``memory`` bytes; ``limit`` bytes are kept of each output.

    Without ``entrypoint`` the image's own ENTRYPOINT is left out; with it the words are its arguments, as a CMD's are.
    An empty ``user`` or ``workdir`` is the image's.
    """

    args: Sequence[str]
    within: float = 30.0
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    entrypoint: bool = False
    memory: int = 512_000_000
    limit: int = 1 << 20


@dataclass(frozen=True)
class Finished:
    """What became of a command. Without an ``exit_code`` it was still running when its time was up, and was ended.

    ``refused`` says why the engine could not call it: then the code is a shell's, 127 for a program that is not there,
    126 for one that may not be executed. ``stdout_cut`` and ``stderr_cut`` tell that there was more than was kept.
    ``elapsed`` is seconds.
    """

    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_cut: bool = False
    stderr_cut: bool = False
    elapsed: float = 0.0
    out_of_memory: bool = False
    refused: str = ""


def in_image(engine: Engine, image: str, labels: Mapping[str, str], command: Command, **fence: Any) -> Finished:
    """Runs ``command`` in a container of its own, which is removed; ``fence`` are changes to its `fences`.

    Raises ``AppError`` when the image cannot be started whatever the command, ``EngineError`` when the engine fails.
    """
    fence = {"log_config": fences.briefly_logged(engine)} | fence
    options = fences.fenced(engine, labels, command.memory, **fence)
    options |= {"environment": dict(command.env), "user": command.user or None, "working_dir": command.workdir or None}
    words = list(command.args)
    options |= {"command": words} if command.entrypoint else {"entrypoint": words[:1], "command": words[1:]}
    container = ""
    try:
        container = created(engine.client, image, **options)
        done = _run(engine, container, command)
        if engine.name == "docker":
            _complete(engine.client, container, done)
        return done  # noqa: TRY300  # what raises is all of it
    except sdk.errors.APIError as error:
        return _refused(error)
    finally:
        if container:
            # All errors of the client library are kinds of it; to name them here would import it.
            with suppress(OSError):
                engine.client.remove_container(container, force=True, v=True)


def _run(engine: Engine, container: str, command: Command) -> Finished:
    client: Any = engine.client
    output = _Output(frames.attached(client, container), command.limit)
    began = time.monotonic()
    try:
        client.start(container)
        ended = _ends(engine, container, command.within)
        elapsed = time.monotonic() - began
        if not ended:
            # It may end by itself at this very moment.
            with suppress(sdk.errors.APIError):
                client.kill(container)
        output.wait(_GRACE)
    finally:
        output.close()
    output.check()
    state = states.of(engine, container)
    if ended and state["Running"]:
        raise EngineError("The engine said that a command had ended, and it runs", "Grade again.", where=container)
    code = int(state["ExitCode"]) if ended else None
    return replace(output.told(), exit_code=code, elapsed=elapsed, out_of_memory=bool(state.get("OOMKilled")))


def _complete(client: Any, container: str, done: Finished) -> None:
    """Raises ``EngineError`` when the engine's own log has more of an output than the connection brought.

    A connection that ends where a frame does looks like the end of the output. The log keeps less than what is read of
    a long one, and ends every line; what was cut is judged as that.
    """
    if done.stdout_cut or done.stderr_cut:
        return
    brought = sum(len(part) + (part[-1:] not in (b"", b"\n")) for part in (done.stdout, done.stderr))
    if len(client.logs(container, stdout=True, stderr=True, tail="all")) > brought:
        raise EngineError("The engine lost a part of what a command printed", "Grade again.", where=container)


def _ends(engine: Engine, container: str, within: float) -> bool:
    """Whether a container ends in time; the engine itself is waited for, which is told at once."""
    client: Any = engine.client
    began = time.monotonic()
    try:
        client.wait(container, timeout=max(0.001, within))
    except sdk.requests.RequestException:
        # The client library has several errors for a time that is up, and the same ones for an engine that has gone:
        # that one does not wait so long, and what it ran may have gone with it.
        if time.monotonic() - began < within * _NEARLY:
            raise
        return not states.of(engine, container)["Running"]
    return True


def in_app(engine: Engine, container: str, command: Command, end: Callable[[], None]) -> Finished:
    """Runs ``command`` in a container that runs already; ``end`` is called when it does not end in time.

    Raises as `in_image` does.
    """
    client: Any = engine.client
    asked = {"user": command.user, "environment": dict(command.env), "workdir": command.workdir or None}
    try:
        made = client.exec_create(container, list(command.args), stdout=True, stderr=True, **asked)
        run = has(made, ("Id",), "an exec")["Id"]
        output = _Output(frames.executed(client, run), command.limit)
    except sdk.errors.APIError as error:
        return _refused(error)
    began = time.monotonic()
    try:
        state = _state_at_end(client, run, output, began + command.within)
        elapsed = time.monotonic() - began
        if state["Running"]:
            end()
        output.wait(_LAST_WORDS)
        stuck = output.stuck and not state["Running"]
    finally:
        output.close()
    output.check()
    if stuck:
        raise EngineError("The engine stopped in the middle of what a command printed", "Grade again.", where=container)
    told = replace(output.told(), elapsed=elapsed)
    return told if state["Running"] else _with_code(told, state, podman=engine.name == "podman")


def said(engine: Engine, container: str, command: Command) -> tuple[bytes, bytes]:
    """What a program of ours prints in a container that runs already, and its complaints.

    Raises ``EngineError`` when it has not ended in time, or a part of it was lost.
    """
    made = engine.client.exec_create(container, list(command.args), stdout=True, stderr=True)
    output = _Output(frames.executed(engine.client, has(made, ("Id",), "an exec")["Id"]), command.limit)
    try:
        output.wait(command.within)
        ended = output.ended
    finally:
        output.close()
    output.check()
    if not ended:
        raise EngineError("The engine did not run a program of ours in time", "Grade again.", where=container)
    told = output.told()
    return told.stdout, told.stderr


def _state_at_end(client: Any, run: str, output: _Output, deadline: float) -> Mapping[str, Any]:
    """The engine's state of an exec: the end of its output is told at once, its own end has to be asked for.

    What has not begun yet does not run either, and Podman gives it the exit code 0; what has begun was seen to run, has
    a pid (Docker), or has closed its output.
    """
    begun = False
    while True:
        left = deadline - time.monotonic()
        output.wait(max(0.0, min(left, _ASK_EVERY)))
        state: Mapping[str, Any] = has(client.exec_inspect(run), ("Running", "ExitCode"), "the state of an exec")
        begun |= bool(state["Running"] or state.get("Pid")) or output.ended
        if begun and (left <= 0 or not state["Running"]):
            return state
        if left <= 0:
            raise EngineError("The engine did not start a command in time", "Grade again.")
        time.sleep(_LOOK_EVERY)


def _with_code(told: Finished, state: Mapping[str, Any], *, podman: bool) -> Finished:
    """Engines print why they could not call a command where it would have printed, each in its own place."""
    code = int(state["ExitCode"])
    said = (told.stderr if podman else told.stdout).decode(errors="replace")
    never_ran = said.startswith("Error: ") and "OCI" in said if podman else not state.get("Pid")
    if code not in _NEVER_RAN or not never_ran:
        return replace(told, exit_code=code)
    if why := cannot_be_called(said):
        return replace(told, exit_code=why[1], stdout=b"", stderr=b"", refused=why[0])
    failure = start_failure(sdk.errors.APIError(said, explanation=said))
    if podman and isinstance(failure, EngineError):
        # Podman tells it by its text alone, which any command can print.
        return replace(told, exit_code=code)
    raise failure


def _refused(error: sdk.errors.APIError) -> Finished:
    why = cannot_be_called(str(error.explanation or error))
    if why is None:
        raise start_failure(error) from error
    return Finished(why[1], refused=why[0])


class Printed(Protocol):
    """What `frames.Frames` is to whoever reads it."""

    within: bool

    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Pairs of bytes of stdout and stderr, of which one is None."""

    def close(self) -> None:
        """Lets go of the connection."""


class _Output:
    """Reads to the end what a command prints, beside the caller, and keeps the beginning.

    What is over the limit is read all the same: nobody is to hang because we do not listen.
    """

    def __init__(self, frames: Printed, limit: int) -> None:
        """Keeps ``limit`` bytes of each."""
        self._frames = frames
        self._closing = False
        self._broken: Exception | None = None
        self._limit = limit
        self._kept = (bytearray(), bytearray())
        self._cut = [False, False]
        self._thread = Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        # The connection ends with the command, or is closed by `close`.
        try:
            for frame in self._frames:
                for index, part in enumerate(frame):
                    self._keep(index, part or b"")
        except (OSError, ValueError, AttributeError) as error:
            self._broken = None if self._closing else error

    def _keep(self, index: int, part: bytes) -> None:
        room = self._limit - len(self._kept[index])
        self._cut[index] |= len(part) > room
        self._kept[index].extend(part[:room])

    def wait(self, seconds: float) -> None:
        """Until all of it was read, this long at most."""
        self._thread.join(seconds)

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return not self._thread.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether it stands in the middle of a frame."""
        return not self.ended and self._frames.within

    def close(self) -> None:
        """Lets go of the connection."""
        self._closing = True
        self._frames.close()
        self._thread.join(_LAST_WORDS)

    def check(self) -> None:
        """Raises ``EngineError`` when a part of it was lost on the way."""
        if self._broken is not None:
            raise EngineError(f"A command's output was lost: {self._broken}", "Grade again.")

    def told(self) -> Finished:
        """What was read so far, of a command of which no more is known yet."""
        out, err = map(bytes, self._kept)
        return Finished(None, out, err, stdout_cut=self._cut[0], stderr_cut=self._cut[1])
