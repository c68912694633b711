"""Sizes and durations as people write them in YAML, and the way back into words.

Sizes are bytes, durations are seconds. Decimal units follow SI (1 MB = 1000 * 1000 bytes), binary ones IEC 80000-13
(1 MiB = 1024 * 1024 bytes), as in Docker's own documentation.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from grader.course.model import Rule

_SIZE_UNITS = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

_NUMBER = r"\d+(?:\.\d+)?"
_SIZE = re.compile(rf"({_NUMBER})\s*([kmgt]i?b|b)", re.IGNORECASE)
_TIME_PART = re.compile(rf"({_NUMBER})\s*(ms|min|s|m|h)")
_TIME = re.compile(rf"(?:{_TIME_PART.pattern}\s*)+")

# ECMA 262, which JSON Schema uses, has no inline flags; hence the letters one by one.
_SIZE_PATTERN = rf"^{_NUMBER} *([kKmMgGtT][iI]?[bB]|[bB])$"
_TIME_PATTERN = rf"^({_NUMBER} *(ms|min|s|m|h) *)+$"


def parse_size(value: Any) -> int:
    """Bytes from ``220MB``, ``220MiB``, ``1.5 GB`` or a whole number of bytes; more than zero.

    Raises ValueError, in words for the author of a rubric, for everything else.
    """
    size = _size_of(value)
    if size <= 0:
        raise ValueError(f"{value!s} is no possible size; a size is more than zero")
    return size


def _size_of(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        if match := _SIZE.fullmatch(text):
            return round(float(match[1]) * _SIZE_UNITS[match[2].lower()])
    raise ValueError(f"{_shown(value)} is no size; write it like 220MB, 220MiB or 1.5GB")


def parse_duration(value: Any) -> float:
    """Seconds from ``30s``, ``5m``, ``1m30s``, ``500ms``, ``2h`` or a number of seconds; more than zero.

    Raises ValueError, in words for the author of a rubric, for everything else.
    """
    seconds = _seconds_of(value)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{value!s} is no possible time; a time is more than zero")
    return seconds


def _seconds_of(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(rf"-?{_NUMBER}", text):
            return float(text)
        if _TIME.fullmatch(text):
            return sum(float(number) * _TIME_UNITS[unit] for number, unit in _TIME_PART.findall(text))
    raise ValueError(f"{_shown(value)} is no time; write it like 30s, 5m, 1m30s or 500ms")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


#: Bytes, as an int.
ByteSize = Annotated[
    int,
    Rule(
        before=parse_size,
        schema={
            "description": "A size: 220MB (1000 * 1000 bytes), 220MiB (1024 * 1024 bytes) or a number of bytes.",
            "anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": _SIZE_PATTERN}],
        },
    ),
]

#: Seconds, as a float.
Duration = Annotated[
    float,
    Rule(
        before=parse_duration,
        schema={
            "description": "A time: 30s, 5m, 1m30s, 500ms or a number of seconds.",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": _TIME_PATTERN}],
        },
    ),
]


def human_size(size: int, *, unlike: int | None = None) -> str:
    """Bytes in decimal units with three significant digits: ``640 kB``, ``198 MB``, ``1.2 GB``.

    ``unlike`` is a size that it stands beside: the digits grow until the two differ, so that nobody reads
    "at most 220 MB, got 220 MB".
    """
    digits = 3
    text = _size_text(size, digits)
    while unlike is not None and size != unlike and digits < 15 and text == _size_text(unlike, digits):
        digits += 1
        text = _size_text(size, digits)
    return text


def _size_text(size: int, digits: int) -> str:
    value = float(f"{size:.{digits}g}")
    units = ["TB", "GB", "MB", "kB", "B"]
    while abs(value) >= 1000 and len(units) > 1:
        value /= 1000
        units.pop()
    return f"{value:.{max(digits, 4)}g} {units[-1]}"


def human_time(seconds: float) -> str:
    """Seconds as a person says them: ``85 ms``, ``0.3 s``, ``12 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_parts(whole, 60, "min", "s")
    return _two_parts(round(whole / 60), 60, "h", "min")


def _two_parts(value: int, per: int, large: str, small: str) -> str:
    whole, rest = divmod(value, per)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
