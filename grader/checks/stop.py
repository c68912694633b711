"""Does the app end when it is told to?"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from grader.checks import _config as configured
from grader.checks import _hand as hand
from grader.checks._codes import ExitCodes, several
from grader.checks._running import Clock, deafness, described
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.course.units import Duration, human_time
from grader.errors import EngineError

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.engine.running.app import App
    from grader.engine.running.processes import Process

#: How a container ends whose process was killed: 128 and the number of SIGKILL.
_KILLED = 137
#: What can be asked of an app; SIGKILL and SIGSTOP ask nothing.
_SIGNALS = {"HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "WINCH", "PWR"}


def _a_signal(value: str) -> str:
    if configured.signal_name(value).removeprefix("SIG") not in _SIGNALS:
        raise ValueError(f"{value} is no signal that ends an app; write it like SIGTERM")
    return value


class Stop(Check):
    """The app ends by itself, soon and with an expected exit code, when it gets the signal that `docker stop` sends.

    An app of its own is started and waited for, so that no other check loses theirs. The exit code is the engine's,
    whatever the app prints.
    """

    example: ClassVar[str] = """\
- id: stops
  check: stop
  within: 5s
  exit_code: [0, 143]
  points: 10
"""

    reason: ClassVar[str] = (
        "What does not end when asked is killed: requests are cut off, data is lost, and every deploy waits for it."
    )
    advice: ClassVar[str] = (
        "Let the app be PID 1 (CMD in exec form, `exec` in a start script) and handle SIGTERM; `docker stop` shows it."
    )

    looks_at: ClassVar[str] = (
        "What the app does when it gets the signal that `docker stop` sends: how long it takes to end, and with "
        "which exit code. 137 means that it did not end and was killed."
    )

    check: Literal["stop"]
    within: Duration = field(default=10.0, description="How long the app may take; as `docker stop`, 10 s by default.")
    signal: Annotated[str, Rule(_a_signal)] | None = field(
        default=None, description="The signal; the image's STOPSIGNAL by default."
    )
    exit_code: ExitCodes | None = field(
        default=None, description="The exit code that is expected, or several; by default any but 137, that of SIGKILL."
    )

    def run(self, subject: Subject) -> Outcome:
        """Starts an app, sends it the signal and waits for its end."""
        clock = Clock(self.timeout)
        signal = configured.signal_name(self.signal or subject.image.config.get("StopSignal") or "")
        if re.fullmatch(r"SIG\d+", signal):
            line = configured.line_of(subject.dockerfile, "STOPSIGNAL")
            return failed(expected=self.expectation(), got=f"STOPSIGNAL {signal[3:]} is no signal", line=line)
        app = subject.start(at_most=clock.left())
        first = _first(app)
        stopped = app.stop(signal, clock.left(self.within))
        evidence: dict[str, Any] = {"signal": signal, "exit_code": stopped.exit_code, "log": list(stopped.log)}
        evidence |= {"elapsed": round(stopped.elapsed, 4), "pid_1": described(first) if first else None}
        expected = self.expectation(signal)
        line = configured.line_of(subject.dockerfile, "ENTRYPOINT") or configured.line_of(subject.dockerfile, "CMD")
        if stopped.exit_code is None:
            why = f": {deafness(first, signal)}" if first else ""
            got = f"still running after {human_time(stopped.elapsed)}, and killed{why}"
            return failed(expected=expected, got=got, line=line, **evidence)
        got = f"exit code {stopped.exit_code} after {human_time(stopped.elapsed)}"
        if not self._is_good(stopped.exit_code):
            return failed(expected=expected, got=got, line=line, **evidence)
        return passed(expected=expected, got=got, **evidence)

    def expectation(self, signal: str = "") -> str:
        """What is expected, in words."""
        name = signal or (configured.signal_name(self.signal) if self.signal else "the stop signal")
        ending = "without being killed"
        if self.exit_code is not None:
            ending = f"exit code {' or '.join(map(str, several(self.exit_code)))}"
        return f"{name} ends the app within {human_time(self.within)}, {ending}"

    def by_hand(self, port: int) -> tuple[str, ...]:
        """How long it takes to stop, and the exit code."""
        stop = f"docker stop -t {math.ceil(self.within)} {hand.APP}"
        if self.signal is not None:
            stop = f"sh -c 'docker kill -s {configured.signal_name(self.signal)} {hand.APP} && docker wait {hand.APP}'"
        code = f"docker inspect --format '{{{{.State.ExitCode}}}}' {hand.APP}"
        return (*hand.start(port, target=self.target), f"time {stop}", code, hand.end())

    def _is_good(self, code: int) -> bool:
        return code != _KILLED if self.exit_code is None else code in several(self.exit_code)


def _first(app: App) -> Process | None:
    """PID 1 tells why an app did not end; where it cannot be seen, the verdict needs none."""
    with suppress(EngineError):
        return app.processes()[0]
    return None
