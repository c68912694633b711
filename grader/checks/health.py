"""Does the image's HEALTHCHECK tell a working app from a broken one?"""

from __future__ import annotations

import time
from secrets import randbelow
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from grader.checks import _config as configured
from grader.checks import _hand as hand
from grader.checks._fresh import refresh, refuse_unknown_forms
from grader.checks._running import Clock
from grader.checks._text import shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Model, Rule, field
from grader.course.units import Duration, human_time
from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks.subject import Subject
    from grader.engine.image import Image
    from grader.engine.running.app import App
    from grader.engine.running.run import Finished

#: Seconds between two tries, while the app is still to become healthy.
_EVERY = 0.2
#: What a broken app's check may take before it counts as failed: this many seconds, or times what it took before.
_HANGS_AFTER = 3.0
_TIMES_SLOWER = 3
#: One failure may be an accident, but not one that came after so many seconds of waiting for an answer.
_FAILURES = 2
_WAITED = 1.0

#: Where an engine looks for programs when the image does not say (Moby, oci/defaults.go).
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Path = Annotated[str, Rule(pattern="^/[!-~]*$")]


class Breaking(Model):
    """How the app is broken: by a request to it, or by a command in its container."""

    get: Path | None = field(default=None, description="The path to ask for with GET.")
    post: Path | None = field(default=None, description="The path to ask for with POST.")
    command: tuple[str, ...] | None = field(default=None, min_length=1, description="What to run, without a shell.")

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.get, self.post, self.command)) != 1:
            raise ValueError("give one way to break the app: get, post or command")
        refuse_unknown_forms([self.get, self.post, self.command])

    @property
    def told(self) -> str:
        """The way in words."""
        if self.command is not None:
            return f"`{' '.join(self.command)}`"
        return f"POST {self.post}" if self.post is not None else f"GET {self.get}"


class Health(Check):
    """The image's HEALTHCHECK succeeds while the app works, and fails once it is broken.

    An app of its own is started, and the HEALTHCHECK's command is run in it as an engine runs it, but at once instead
    of at the image's intervals: this way it runs on engines too that need an init system for their own health checks.
    Then the app is broken. Frozen (`freeze`: all its processes are stopped) it keeps its port and answers nobody, and
    has to be found healthy again when it goes on; a HEALTHCHECK that always succeeds is found out.
    """

    example: ClassVar[str] = """\
- id: knows-its-health
  check: health
  within: 20s
  broken_by: freeze
  points: 10
"""

    reason: ClassVar[str] = "A health check that cannot fail lets traffic go to what no longer answers."
    advice: ClassVar[str] = (
        "Ask the app for something that only works while it does, with a program that the image has; "
        "`docker inspect CONTAINER` shows the last results under `State.Health`."
    )

    looks_at: ClassVar[str] = (
        "Whether the command of your HEALTHCHECK succeeds while the app works, and fails once the app is broken. "
        "It is run at once, instead of at the image's intervals."
    )

    check: Literal["health"]
    within: Duration = field(default=30.0, description="How soon the HEALTHCHECK has to succeed.")
    broken_by: Literal["freeze", "nothing"] | Breaking = field(
        default="freeze", description="What breaks the app, after which the HEALTHCHECK has to fail."
    )

    def run(self, subject: Subject) -> Outcome:
        """Healthy, then broken, and after a freeze healthy again."""
        health = configured.health(subject.image.config)
        if health is None:
            return failed(expected=self.expectation(), got="the image has no HEALTHCHECK")
        clock = Clock(self.timeout)
        trial = _Trial(subject.start(at_most=clock.left()), subject.image.config, health, clock)
        got = self._judged(trial, subject.image, subject.fresh)
        evidence: dict[str, Any] = {"healthcheck": trial.command, "runs": trial.told}
        if not got:
            ending = "" if self.broken_by == "nothing" else ", and fails once the app is broken"
            return passed(expected=self.expectation(), got=f"succeeds{ending}", **evidence)
        evidence["app_log"] = list(trial.app.log())
        line = configured.line_of(subject.dockerfile, "HEALTHCHECK")
        return failed(expected=self.expectation(), got=got, line=line, **evidence)

    def expectation(self) -> str:
        """What is expected, in words."""
        text = f"the HEALTHCHECK succeeds within {human_time(self.within)}"
        if self.broken_by == "nothing":
            return text
        how = self.broken_by.told if isinstance(self.broken_by, Breaking) else "a freeze"
        return f"{text}, and fails once the app is broken by {how}"

    def by_hand(self, port: int) -> tuple[str, ...]:
        """What the engine says of the app's health before it is broken, and after."""
        health = f"docker inspect --format '{{{{json .State.Health}}}}' {hand.APP}"
        lines = [*hand.start(port, target=self.target), health]
        if isinstance(self.broken_by, Breaking):
            lines += [self._break_by_hand(self.broken_by, port), health]
        elif self.broken_by == "freeze":
            lines += [f"docker kill -s STOP {hand.APP}", health, f"docker kill -s CONT {hand.APP}", health]
        return (*lines, hand.end())

    @staticmethod
    def _break_by_hand(way: Breaking, port: int) -> str:
        if way.command is not None:
            return hand.quoted("docker", "exec", hand.APP, *(str(refresh(word, "hello")) for word in way.command))
        method, path = ("GET", way.get) if way.get is not None else ("POST", way.post)
        return hand.quoted("curl", "-i", "-X", method, f"http://localhost:{port}{refresh(path, 'hello')}")

    def _judged(self, trial: _Trial, image: Image, fresh: str) -> str:
        """What is wrong, in words; nothing when all is well."""
        for _ in range(_times()):
            if wrong := trial.becomes_healthy(self.within):
                return f"never succeeded in {human_time(self.within)}: {wrong}"
        if self.broken_by == "nothing":
            return ""
        obstacle = ""
        if self.broken_by == "freeze":
            trial.app.freeze()
        else:
            obstacle = _break(trial.app, self.broken_by, fresh)
        if not trial.fails():
            if obstacle and _taken_away(image, self.broken_by):
                return f"{obstacle}; the base image has that program, and the Dockerfile takes it away"
            if obstacle:
                raise RubricError(obstacle, "Let the check break the app in a way that every submission takes.")
            return "still succeeds although the app is broken"
        if self.broken_by != "freeze":
            return ""
        trial.app.thaw()
        wrong = trial.becomes_healthy(self.within)
        return f"does not succeed again once the app goes on: {wrong}" if wrong else ""


def _times() -> int:
    """How often it is to succeed before the app is broken: a command that counts its runs cannot know when that is."""
    return 1 + randbelow(3)


class _Trial:
    """An app and its HEALTHCHECK, run when we want."""

    def __init__(self, app: App, config: Mapping[str, Any], health: Mapping[str, Any], clock: Clock) -> None:
        kind, *words = health["test"]
        # As the engine does: CMD as it is, CMD-SHELL with the image's SHELL (Moby, daemon/health.go).
        self.command = words if kind == "CMD" else [*(config.get("Shell") or ("/bin/sh", "-c")), *words]
        self.app = app
        self.told: list[dict[str, Any]] = []
        self._limit = float(health["timeout"])
        self._clock = clock
        self._took = 0.0

    def becomes_healthy(self, within: float) -> str:
        """Why it does not succeed in time, in words; nothing when it does."""
        deadline = time.monotonic() + self._clock.left(within)
        said = ""
        while True:
            left = deadline - time.monotonic()
            done = self._run(max(0.1, min(self._limit, left)))
            if done.exit_code == 0:
                self._took = max(self._took, done.elapsed)
                return ""
            # The last try may be cut short by the deadline: what one said that came to its end tells more.
            if done.exit_code is not None or left >= self._limit or not said:
                said = _reason(done)
            if time.monotonic() + _EVERY > deadline:
                return said
            time.sleep(_EVERY)

    def fails(self) -> bool:
        """Whether it fails, twice or by waiting in vain."""
        hangs = max(_HANGS_AFTER, _TIMES_SLOWER * self._took)
        for _ in range(_FAILURES):
            done = self._run(self._clock.left(min(self._limit, hangs)))
            if done.exit_code == 0:
                return False
            if done.exit_code is None or done.elapsed > self._took + _WAITED:
                break
        return True

    def _run(self, within: float) -> Finished:
        done = self.app.run(self.command, within=within)
        self.told.append({"exit_code": done.exit_code, "elapsed": round(done.elapsed, 4), "output": _output(done)})
        return done


def _break(app: App, way: Breaking, fresh: str) -> str:
    """Breaks the app, and says what kept it from that; what the app answers is for the HEALTHCHECK to see."""
    if way.command is None:
        method, path = ("GET", way.get) if way.get is not None else ("POST", way.post)
        app.ask(method, str(refresh(path, fresh)))
        return ""
    done = app.run([str(refresh(word, fresh)) for word in way.command])
    if done.exit_code == 0:
        return ""
    return f"The command that is to break the app fails: {_reason(done)}"


def _taken_away(image: Image, way: str | Breaking) -> bool:
    """Whether the Dockerfile deleted or replaced the program that is to break the app.

    What an author's command may not do in an image that is as it should be is the author's to mend; this is not.
    """
    if not isinstance(way, Breaking) or way.command is None:
        return False
    name = way.command[0]
    if "/" in name:
        return image.replaced(name)
    own = configured.environment(image.config).get("PATH", _PATH)
    there = [f"{folder}/{name}" for folder in _PATH.split(":") if image.below(f"{folder}/{name}") is not None]
    found = any(image.resolve(f"{folder}/{name}") is not None for folder in own.split(":"))
    return any(map(image.replaced, there)) or (bool(there) and not found)


def _output(done: Finished) -> str:
    return done.refused or (done.stdout + done.stderr)[-1000:].decode(errors="replace")


def _reason(done: Finished) -> str:
    if done.exit_code is None:
        return f"its command is still running after {human_time(done.elapsed)}"
    said = shown(_output(done))
    return f"its command ends with exit code {done.exit_code}" + (f": {said}" if said else "")
