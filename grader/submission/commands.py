"""What an instruction hands to a shell, or runs itself, as text that can be searched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.submission.instructions import Instruction

_BLANKS = re.compile(r"[^\S\n]+")
#: Quoted texts and escaped characters are stepped over, so that a `#` in them begins no comment.
_COMMENT = re.compile(
    r"""'[^']*' | "(?:[^"\\]|\\.)*" | \\. | (?P<comment> (?<![^\s;&|()]) \# [^\n]* )""", re.VERBOSE | re.DOTALL
)


def command(instruction: Instruction) -> str:
    """The command of a RUN, CMD, ENTRYPOINT or HEALTHCHECK, without flags and without the shell's comments.

    Continued lines are one line and runs of blanks one blank; the words of the exec form are joined by blanks. The
    bodies of heredocs follow, a line for a line of theirs.
    """
    bodies = "".join(instruction.heredocs).replace("\\\n", "")
    text = f"{' '.join(instruction.args)}\n{bodies}"
    return _BLANKS.sub(" ", _without_comments(text)).strip()


def _without_comments(text: str) -> str:
    return _COMMENT.sub(lambda found: "" if found["comment"] else found[0], text)
