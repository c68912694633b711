"""A learner's text on its way to a person: data, never control."""

from __future__ import annotations

import re
import unicodedata

#: Whole escape sequences, as programs send them to colour their output (ECMA-48: CSI, and OSC with its end).
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
#: Control, format (they turn the direction of a line or hide in it), line ends of their own, and what is no character.
NEVER = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    """``text`` without escape sequences; control and format characters and lone surrogates shown as `�`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in SEQUENCE.sub("", text).expandtabs(4))


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if unicodedata.category(character) in NEVER:
        return "�" if character != "\r" else ""
    return character


def one_line(text: str) -> str:
    """The same on a single line."""
    return " ".join(printable(text).split())


def last_state(line: str) -> str:
    """A log line as it stood in the end: what a progress bar wrote before its last carriage return is gone."""
    states = [state for state in line.split("\r") if state.strip()]
    return printable(states[-1]).replace("\n", " ") if states else ""


def clipped(text: str, cells: int) -> str:
    """What of ``text`` fits on ``cells`` of a terminal, where East Asian characters take two."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > cells:
            return text[:index]
    return text
