"""A learner's text in a page: every character is there to be seen, and none of them does anything."""

from __future__ import annotations

import re
import unicodedata

from grader.reports._text import NEVER, SEQUENCE

#: ASCII control characters, which Unicode has pictures of (U+2400 and on); a line end and a tab are laid out instead.
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {0x7F: "\u2421"}
_PLAIN = re.compile(r"[\n\t\x20-\x7e]*")


def visible(text: str) -> str:
    """``text`` without colour sequences and with nothing hidden in it: `␀` for a NUL, `⟨U+202E⟩` for what turns lines.

    Line ends become LF; a lone carriage return, with which a progress bar writes over its line, begins a new one.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = SEQUENCE.sub("", text).replace("\r\n", "\n").rstrip("\r").replace("\r", "\n")
    return "".join(map(_shown, text.translate(_PICTURES)))


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in NEVER:
        return character
    return f"\u27e8U+{ord(character):04X}\u27e9"
