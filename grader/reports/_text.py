"""A learner's text on its way to a person: data, never control."""

from __future__ import annotations

import unicodedata

#: Characters that turn the direction of a line, and so can make it read as what it is not (Unicode UAX 9).
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def printable(text: str) -> str:
    """``text`` without escape sequences' escapes, control characters, direction marks and lone surrogates."""
    return "".join(_shown(character) for character in text.expandtabs(4))


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if ord(character) in _DIRECTION or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn"):
        return "�" if character != "\r" else ""
    return character


def one_line(text: str) -> str:
    """The same on a single line."""
    return " ".join(printable(text).split())
