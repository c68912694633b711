"""A real program in a real terminal: its keys are typed, its screen is read."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pexpect
import pyte

from grader.tests.cli.programs import PLAIN, command

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds until what should have been on the screen long ago counts as never coming.
DEADLINE = 120
COLUMNS, LINES = 80, 50


class Terminal:
    """A program in a terminal of 80 columns; ``shown`` is all that it ever wrote, as it was read on a screen."""

    def __init__(self, name: str, *arguments: str, cwd: Path, **environment: str) -> None:
        program, *rest = command(name, *arguments)
        self.child: Any = pexpect.spawn(
            program, rest, cwd=str(cwd), env=dict(PLAIN) | environment, dimensions=(LINES, COLUMNS), encoding="utf-8",
            timeout=DEADLINE,
        )  # fmt: skip
        self.raw = ""
        self.child.logfile_read = self

    def write(self, text: str) -> None:
        self.raw += text

    def flush(self) -> None:
        pass

    def until(self, pattern: str) -> str:
        """Waits for it after what was waited for before; what was matched comes back."""
        self.child.expect(pattern)
        return str(self.child.after)

    def press(self, key: str) -> None:
        self.child.send(key)

    def ended(self) -> int:
        """Its exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)

    def screen(self) -> list[str]:
        """What a person has seen, with everything that has scrolled away, without trailing blanks."""
        screen = pyte.HistoryScreen(COLUMNS, LINES, history=5000, ratio=1)
        pyte.Stream(screen).feed(self.raw)
        gone = ["".join(line[column].data for column in range(COLUMNS)) for line in screen.history.top]
        return [line.rstrip() for line in [*gone, *screen.display]]

    def settings(self) -> list[Any]:
        """How the terminal is set: the same after a program as before it, if that put it right."""
        import termios  # noqa: PLC0415

        return termios.tcgetattr(self.child.child_fd)


def is_bare(text: str) -> bool:
    """Whether nothing in it moves a cursor or colours."""
    return not re.search(r"\x1b|\r(?!\n)", text)


AVAILABLE = os.name == "posix" and sys.platform != "win32"
