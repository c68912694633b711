"""What an engine's refusal to create or start a container means: the learner's mistake, or no fault of theirs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.errors import EngineError, SubmissionError

if TYPE_CHECKING:
    from docker.errors import APIError

# What the engine says at start when the image, not the engine, is at fault: texts seen for mistakes made on purpose. A
# mere “permission denied” may as well be a limit that the engine may not set.
_CALLED = r'exec: "(?P<name>[^"]*)": (?:stat [^:]*: )?'
#: Ways in which a program cannot be called: what the engine says, what is wrong with the program, a shell's exit code.
_UNCALLABLE = (
    (
        re.compile(_CALLED + r"(?:no such file or directory|executable file not found|not a directory)", re.IGNORECASE),
        "does not exist in the image",
        127,
    ),
    (re.compile(_CALLED + "(?:permission denied|is a directory)", re.IGNORECASE), "may not be executed", 126),
    (re.compile(_CALLED + "exec format error", re.IGNORECASE), "is no program for this machine", 126),
)
_STARTED_WRONG = (
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
            r"|workdir \"[^\"]*\" (?:does not exist|exists on container .* is not a directory)"
            r"|mkdir .*: not a directory"
        ),
        "The working directory of the image cannot be used",
    ),
)


_BY_RUNTIME = re.compile(r"OCI runtime|(?:runc|crun|runsc)[ :]")
_MEANS = re.compile(
    r"cgroup|no space left|cannot allocate memory|resource temporarily|too many open files", re.IGNORECASE
)


class AppError(SubmissionError):
    """The image's app does not do what it should; ``log`` holds the last lines that it printed."""


class NotStartedError(EngineError):
    """The engine could not start a container, or a command in one, and nothing of the learner's is known to be why."""

    def __init__(self, said: str) -> None:
        """``said`` is what the engine said."""
        super().__init__(
            f"The engine could not start the container: {said}",
            "Nothing is counted against the submission. Grade again; `grader doctor` tells more.",
        )
        self.said = said

    @property
    def by_runtime(self) -> bool:
        """Whether its runtime says so, of the image's own files and configuration, and not of the machine's means."""
        return bool(_BY_RUNTIME.search(self.said)) and not _MEANS.search(self.said)


def start_failure(error: APIError) -> EngineError | AppError:
    """What the engine's refusal to create or start a container means."""
    text = str(error.explanation or error)
    fix = "Look at CMD, ENTRYPOINT, USER and WORKDIR."
    if why := cannot_be_called(text):
        return AppError(f"The image cannot be started: {why[0]}: {text.strip()[:300]}", fix)
    for pattern, what in _STARTED_WRONG:
        if pattern.search(text.lower()):
            return AppError(f"{what}: {text.strip()[:300]}", fix)
    return NotStartedError(text.strip()[:300])


def cannot_be_called(text: str) -> tuple[str, int] | None:
    """Why an engine that says ``text`` could not call a program, with a shell's exit code for that; None if it could.

    A shell gives 127 for a program that is not there and 126 for one that may not be executed (POSIX, 2.8.2).
    """
    for pattern, what, code in _UNCALLABLE:
        if match := pattern.search(text):
            return f"`{match['name']}` {what}", code
    return None
