"""A log of GitHub Actions: a line printed there may be a command to the runner, and a learner's text must not be one.

The runner reads two forms of a command from every line of a step's output: ``::name key=value::data`` at its start,
blanks apart, and the older ``##[name key=value]data`` anywhere in it. Between ``::stop-commands::TOKEN`` and
``::TOKEN::`` it reads none. (GitHub's documentation, "Workflow commands", and the runner's ActionCommand.cs.)
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_THE_BEGINNING = re.compile(r"^([^\S\n]*:)(?=:)", re.MULTILINE)
_ANYWHERE = "##["


def is_running() -> bool:
    """Whether this is a step of a workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def harmless(text: str) -> str:
    """``text`` with a blank in whatever the runner would take for a command. Only line feeds end its lines."""
    return _AT_THE_BEGINNING.sub(r"\1 ", text).replace(_ANYWHERE, "## [")


def harmless_json(text: str) -> str:
    """The same JSON, written so that no string in it is a command; a line of indented JSON begins with no colon."""
    return text.replace(_ANYWHERE, r"#\u0023[")


def harmless_xml(text: str) -> str:
    """The same XML, written so that no text or attribute in it is a command."""
    inert = _AT_THE_BEGINNING.sub(lambda found: f"{found[1].removesuffix(':')}&#58;", text)
    return inert.replace(_ANYWHERE, "#&#35;[")


def data(text: str) -> str:
    """``text`` as the data of a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def value(text: str) -> str:
    """``text`` as the value of a command's key."""
    return data(text).replace(":", "%3A").replace(",", "%2C")


def assignment(name: str, content: str) -> str:
    """A line or more for ``$GITHUB_OUTPUT`` or ``$GITHUB_ENV``; the delimiter is one that ``content`` cannot know."""
    delimiter = f"ghadelimiter_{token()}"
    return f"{name}<<{delimiter}\n{content}\n{delimiter}\n"


def token() -> str:
    """What a learner's program cannot guess."""
    import secrets  # noqa: PLC0415  # takes longer than all of the rest

    return secrets.token_hex(16)


@contextmanager
def unheard(out: TextIO) -> Iterator[None]:
    """In a workflow, what is written meanwhile is no command, unless ``out`` goes to a file instead of the log.

    It holds for everything that the step prints, on its other streams too: nest nothing, or the inner end ends it.
    """
    if not is_running() or _is_file(out):
        yield
        return
    end = token()
    out.write(f"::stop-commands::{end}\n")
    out.flush()
    try:
        yield
    finally:
        out.flush()
        # What was written may have ended in the middle of a line.
        out.write(f"\n::{end}::\n")
        out.flush()


def _is_file(out: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(out.fileno()).st_mode)
    except (OSError, ValueError):
        return False
