"""A running app: how it is started, how it is asked, and what it says when it goes wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from docker.errors import APIError

from grader.engine.namespace import Answer, Namespace, Question
from grader.errors import EngineError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine

_LOG_LINES = 20
_LOG_BYTES = 16_000

# What the engine says at start when the image, not the engine, is at fault: texts seen for mistakes made on purpose. A
# mere “permission denied” may as well be a limit that the engine may not set.
_CALLED = r'exec: "[^"]*": (?:stat [^:]*: )?'
_STARTED_WRONG = (
    (
        re.compile(_CALLED + r"(?:no such file or directory|executable file not found|not a directory)"),
        "The command of the image does not exist in it",
    ),
    (re.compile(_CALLED + "permission denied"), "The command of the image may not be executed"),
    (re.compile(_CALLED + "exec format error"), "The command of the image is no program for this machine"),
    (re.compile(_CALLED + "is a directory"), "The command of the image is a directory"),
    (
        re.compile(r"no command specified|no command or entrypoint (?:provided|specified)|args must not be empty"),
        "The image has no command to start",
    ),
    (
        re.compile(r"unable to find user|no matching entries in passwd|error looking up user|invalid user"),
        "The user of the image does not exist in it",
    ),
    (re.compile(r"uids and gids must be in range"), "The user of the image has an impossible number"),
    (re.compile(r"cannot mount volume over existing file"), "A VOLUME of the image lies on a file"),
    (re.compile(r"too many links|too many levels of symbolic links"), "A symlink of the image goes round in a circle"),
    (
        re.compile(r"unable to find group|no matching entries in group|error looking up group"),
        "The group of the image does not exist in it",
    ),
    (
        re.compile(
            r"working directory '[^']*' is invalid|chdir to cwd \(|cannot mkdir: .* is not a directory"
            r"|workdir \"[^\"]*\" does not exist|mkdir .*: not a directory"
        ),
        "The working directory of the image cannot be used",
    ),
)


@dataclass(frozen=True)
class Options:
    """How an app is started and what tells that it is ready. Times are seconds, memory is bytes."""

    port: int
    path: str = "/"
    within: float = 30.0
    status: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int = 512_000_000
    internet: bool = False


class AppError(SubmissionError):
    """The image's app does not do what it should; ``log`` holds the last lines that it printed."""


@dataclass
class App:
    """A running app, ready to be asked."""

    engine: Engine = field(repr=False)
    container: str
    port: int
    namespace: Namespace = field(repr=False)
    started_in: float

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """One HTTP exchange with the app; ``options`` are those of `Question`."""
        return self.namespace.ask(Question(method, path, self.port, **options))

    def log(self) -> tuple[str, ...]:
        """The last lines of what the app printed."""
        return last_lines(self.engine, self.container)


def last_lines(engine: Engine, container: str) -> tuple[str, ...]:
    """The last lines that a container printed, to stdout and stderr; a learner's data."""
    try:
        raw: bytes = engine.client.logs(container, stdout=True, stderr=True, tail=_LOG_LINES)
    except (APIError, requests.RequestException):
        return ()
    return tuple(raw[-_LOG_BYTES:].decode(errors="replace").splitlines()[-_LOG_LINES:])


def exited(state: Mapping[str, Any], log: tuple[str, ...]) -> AppError:
    """Why an app that should go on running did not; ``state`` is the engine's, of its container."""
    code = state.get("ExitCode")
    if state.get("OOMKilled"):
        return AppError("The app was ended for using more memory than it may", "Let it use less.", log=log)
    return AppError(
        f"The app ended at once, with exit code {code}",
        "The command has to start the server and stay in the foreground."
        if code == 0
        else "Its last log lines say why.",
        log=log,
    )


def start_failure(error: APIError) -> EngineError | AppError:
    """What the engine's refusal to create or start a container means."""
    text = str(error.explanation or error)
    for pattern, what in _STARTED_WRONG:
        if pattern.search(text.lower()):
            return AppError(f"{what}: {text.strip()[:300]}", "Look at CMD, ENTRYPOINT, USER and WORKDIR.")
    return EngineError(
        f"The engine could not start the container: {text.strip()[:300]}",
        "Nothing is counted against the submission. Grade again; `grader doctor` tells more.",
    )
