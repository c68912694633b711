"""Texts that learners' programs print and rubrics ask about."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

from grader.course.model import Rule
from grader.course.units import human_time
from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds that a rubric's regular expression may take on a text.
_MATCH_WITHIN = 5.0
_MATCH = """\
import re, sys
text = sys.stdin.buffer.read().decode(errors="surrogatepass")
search = re.compile(sys.argv[1]).search
for length in map(int, sys.argv[2:]):
    print(bool(search(text[:length])))
    text = text[length:]
"""


def _regular(pattern: str) -> str:
    if not pattern:
        raise ValueError("an empty regular expression is found in every text; write one, or leave it out")
    if "\0" in pattern:
        raise ValueError("a zero character cannot be asked for as itself; write \\x00")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern} is no regular expression: {error}; mend it") from error
    return pattern


#: A regular expression in a rubric, as Python's `re` has them. (No `format: regex` in the schema: that is ECMA's.)
Regex = Annotated[str, Rule(_regular, min_length=1)]


def found(pattern: str, text: str) -> bool:
    """Whether ``pattern`` is found in ``text``; raises ``RubricError`` when that takes too long."""
    return found_in(pattern, [text])[0]


def found_in(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Whether ``pattern`` is found in each of ``texts``.

    Another process looks, because a search cannot be broken off and a text can be made so that it takes for ever: then
    it raises ``RubricError``.
    """
    command = [sys.executable, "-I", "-S", "-c", _MATCH, pattern, *(str(len(text)) for text in texts)]
    try:
        done = subprocess.run(
            command,
            input="".join(texts).encode(errors="surrogatepass"),
            capture_output=True,
            timeout=_MATCH_WITHIN,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise RubricError(
            f"The regular expression {pattern} takes more than {human_time(_MATCH_WITHIN)} on what it is held against",
            "Write it without a repetition inside a repetition.",
        ) from error
    return [line == b"True" for line in done.stdout.split()]


def shown(text: str, limit: int = 200) -> str:
    """``text`` on one line, cut where it is longer than ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
