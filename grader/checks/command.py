"""What does a command print, and how does it end?"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from grader.checks import _config as configured
from grader.checks import _hand as hand
from grader.checks._accounts import USERS, accounts, look_up
from grader.checks._codes import ExitCodes, several
from grader.checks._fresh import refresh, refuse_unknown_forms
from grader.checks._running import Clock
from grader.checks._text import Regex, found, shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.course.units import Duration, human_size, human_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.engine.image import Image
    from grader.engine.running.run import Finished

_SHELL = "/bin/sh"
#: Bytes that are kept of each of stdout and stderr.
_KEPT = 1_000_000
#: Where programs are looked for when the image does not say (Docker's own default).
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _some_command(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not value or not value[0].strip() or any("\0" in word for word in value):
        raise ValueError("command is empty; name a program, as in [python, --version]")
    return value


class Command(Check):
    """A command ends as it should, in a container of the image or in that of the running app.

    It runs the image's own programs, so it shows how the image behaves and proves nothing about what is in it: a `sh`
    or a `python` can be made to lie. Ask for what has to be worked out from `{fresh}`, a random value of this run (also
    `{fresh.sha256}`, `{fresh.reversed}`, `{fresh.upper}`), and a canned answer fails; leave files to `present` and
    `absent`, which run nothing. The fences are the app's: no network, no capabilities, bounded memory and processes.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: python-works
  check: command
  command: [python, -c, "print('{fresh}'[::-1])"]
  text: "{fresh.reversed}"
  excluded_error: ["(?i)warning"]
  within: 5s
  points: 10
"""

    reason: ClassVar[str] = "What is in an image is worth something only if it works there."
    advice: ClassVar[str] = "Run it yourself: `docker run --rm --entrypoint PROGRAM IMAGE ARGUMENTS`."

    looks_at: ClassVar[str] = (
        "What a command does in a container of the image, or in that of the running app: its exit code, what it "
        "writes, how long it takes. It has no network there."
    )

    check: Literal["command"]
    command: Annotated[str | tuple[str, ...], Rule(_some_command)] = field(
        description="What to run: a list as it is, without a shell; a text with the image's `/bin/sh -c`."
    )
    place: Literal["image", "app"] = field(
        default="image", alias="in", description="In a container of its own, or in that of the running app."
    )
    entrypoint: bool = field(
        default=False,
        description="Whether the image's ENTRYPOINT gets the command, as it gets a CMD; else it is left out.",
    )
    env: dict[str, str] = field(default={}, description="Environment variables on top of the image's.")
    user: str | int | None = field(default=None, description="Who runs it, instead of the image's user.")
    workdir: str | None = field(
        default=None, pattern="^/", description="Where it runs, instead of the image's workdir."
    )
    within: Duration = field(default=30.0, description="How long it may take.")
    exit_code: ExitCodes = field(
        default=0, description="The exit code that is expected, or several; 127 is a program that does not exist."
    )
    text: str | None = field(default=None, min_length=1, description="A text that stdout must contain.")
    expected_output: tuple[Regex, ...] = field(default=(), description="Regular expressions to be found in stdout.")
    excluded_output: tuple[Regex, ...] = field(default=(), description="Those that must not be found in stdout.")
    expected_error: tuple[Regex, ...] = field(default=(), description="Regular expressions to be found in stderr.")
    excluded_error: tuple[Regex, ...] = field(default=(), description="Those that must not be found in stderr.")

    def __post_init__(self) -> None:
        if self.entrypoint and self.place == "app":
            raise ValueError("an ENTRYPOINT runs in a container of its own only; drop entrypoint, or `in: app`")
        refuse_unknown_forms([self.command, self.env, self.text, *self._patterns()])

    def _patterns(self) -> tuple[str, ...]:
        return (*self.expected_output, *self.excluded_output, *self.expected_error, *self.excluded_error)

    def run(self, subject: Subject) -> Outcome:
        """Runs it once, and names everything that is not as it should be; the line is that of the program it called."""
        clock, expected = Clock(self.timeout), self.expectation(subject.fresh)
        words = self._words(subject.fresh)
        source = _source(subject.image, words[0]) if not self.entrypoint else None
        if isinstance(self.command, str) and _source(subject.image, _SHELL) is None:
            got = f"the image has no {_SHELL} that could run it"
            return failed(expected=expected, got=got, command=words)
        if self.user is not None and not self._knows_user(subject.image):
            got = f"the image's /etc/passwd has no user {self.user}"
            return failed(expected=expected, got=got, command=words)
        done = self._run(subject, words, clock)
        evidence = _evidence(done, words, source)
        faults = [*self._faults(done, subject.fresh)]
        if not faults:
            said = shown(done.stdout.decode(errors="replace"), 80)
            got = f"exit code {done.exit_code} in {human_time(done.elapsed)}" + (f": {said}" if said else "")
            return passed(expected=expected, got=got, **evidence)
        line = subject.image.line_of(source) if source and not subject.image.from_base(source) else None
        return failed(expected=expected, got="; ".join(faults), line=line, **evidence)

    def _knows_user(self, image: Image) -> bool:
        known = accounts(image.read([USERS]).get(USERS, b""))
        return look_up(known, str(self.user).partition(":")[0]) is not None

    def expectation(self, fresh: str = "") -> str:
        """What is expected, in words."""
        command = self.command if isinstance(self.command, str) else " ".join(self.command)
        codes = " or ".join(map(str, several(self.exit_code)))
        parts = [f"`{shown(command)}` ends with exit code {codes} within {human_time(self.within)}"]
        parts += [f"the text “{self.text}” on stdout"] if self.text else []
        for name, wanted, excluded in self._streams():
            parts += [f"a match of {pattern} on {name}" for pattern in wanted]
            parts += [f"no match of {pattern} on {name}" for pattern in excluded]
        text = ", ".join(parts)
        return str(refresh(text, fresh)) if fresh else text

    def by_hand(self, port: int) -> tuple[str, ...]:
        """The command, and the exit code after it; `hello` stands for the random value."""
        words = ["/bin/sh", "-c", self.command] if isinstance(self.command, str) else [*self.command]
        words = [str(refresh(word, "hello")) for word in words]
        options = [
            part for name, value in self.env.items() for part in ("-e", str(refresh(f"{name}={value}", "hello")))
        ]
        options += ["-u", str(self.user)] if self.user is not None else []
        options += ["-w", self.workdir] if self.workdir else []
        if self.place == "app":
            run = hand.quoted("docker", "exec", *options, hand.APP, *words)
            return (*hand.start(port, target=self.target), f"{run}; echo exit code $?", hand.end())
        own = [] if self.entrypoint else ["--entrypoint", words.pop(0)]
        run = hand.quoted("docker", "run", "--rm", "--network", "none", *options, *own, hand.IMAGE, *words)
        return (hand.build(self.target), f"{run}; echo exit code $?")

    def _streams(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
        return (
            ("stdout", self.expected_output, self.excluded_output),
            ("stderr", self.expected_error, self.excluded_error),
        )

    def _words(self, fresh: str) -> list[str]:
        command = [_SHELL, "-c", self.command] if isinstance(self.command, str) else list(self.command)
        return [str(refresh(word, fresh)) for word in command]

    def _run(self, subject: Subject, words: list[str], clock: Clock) -> Finished:
        options: dict[str, Any] = {
            "env": refresh(self.env, subject.fresh),
            "user": "" if self.user is None else str(self.user),
            "workdir": self.workdir or "",
            "limit": _KEPT,
        }
        if self.place == "app":
            app = subject.app
            return app.run(words, within=clock.left(self.within), **options)
        return subject.run(words, within=clock.left(self.within), entrypoint=self.entrypoint, **options)

    def _faults(self, done: Finished, fresh: str) -> Iterator[str]:
        if done.exit_code is None:
            yield f"still running after {human_time(done.elapsed)}, and ended"
        elif done.exit_code not in several(self.exit_code):
            why = f": {done.refused}" if done.refused else ", for using more memory than it may" * done.out_of_memory
            yield f"exit code {done.exit_code}{why or _last_words(done)}"
        stdout = done.stdout.decode(errors="replace")
        if self.text and refresh(self.text, fresh) not in stdout:
            yield f"stdout without that text: {shown(stdout) or 'nothing'}"
        texts = (stdout, done.stderr.decode(errors="replace"))
        cuts = (done.stdout_cut, done.stderr_cut)
        for (name, wanted, excluded), text, cut in zip(self._streams(), texts, cuts, strict=True):
            for pattern in wanted:
                if not found(refresh(pattern, fresh), text):
                    yield f"{name} without a match of {pattern}: {shown(text) or 'nothing'}"
            for pattern in excluded:
                if found(refresh(pattern, fresh), text):
                    yield f"{name} with a match of {pattern}: {shown(text)}"
            if cut and (wanted or excluded or (self.text and name == "stdout")):
                yield f"more than {human_size(_KEPT)} on {name}, of which no more was read"


def _last_words(done: Finished) -> str:
    said = (done.stderr.strip() or done.stdout.strip())[-1000:].decode(errors="replace")
    return f": {shown(said)}" if said else ""


def _source(image: Image, name: str) -> str | None:
    """Where the program lies that is called ``name``, as read from outside; None when none can be executed."""
    config = image.config
    folders = [""]
    if "/" not in name:
        folders = configured.environment(config).get("PATH", _PATH).split(":")
    base = config.get("WorkingDir") or "/"
    for folder in folders:
        real = image.resolve(posixpath.join(base, folder, name))
        if real is not None and image.files[real].entry.executable:
            return real
    return None


def _evidence(done: Finished, words: list[str], source: str | None) -> dict[str, Any]:
    return {
        "command": words,
        "program": f"/{source}" if source else None,
        "exit_code": done.exit_code,
        "stdout": done.stdout[:4096].decode(errors="replace"),
        "stderr": done.stderr[:4096].decode(errors="replace"),
        "elapsed": round(done.elapsed, 4),
    }
