"""What `submit` names: relative POSIX paths and globs, matched segment by segment."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def matches(path: str, patterns: Iterable[tuple[str, ...]]) -> bool:
    """Whether a relative POSIX path is matched by one of the patterns (each a tuple of path segments)."""
    tails = frozenset(patterns)
    for segment in path.split("/"):
        matched, tails = step(tails, segment)
        if not tails and not matched:
            return False
    return matched


def step(tails: Iterable[tuple[str, ...]], segment: str) -> tuple[bool, frozenset[tuple[str, ...]]]:
    """Whether some pattern ends with this segment, and what is left to match below it."""
    matched, below = False, set()
    for tail in _expanded(tails):
        if tail[0] == "**":
            below.add(tail)
            matched = matched or len(tail) == 1
        elif _segment_matches(tail[0], segment):
            matched = matched or len(tail) == 1
            if len(tail) > 1:
                below.add(tail[1:])
    return matched, frozenset(below)


def _expanded(tails: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The tails, and those that begin when a leading ``**`` stands for no folder at all."""
    for tail in tails:
        yield tail
        rest = tail
        while len(rest) > 1 and rest[0] == "**":
            rest = rest[1:]
            yield rest


def is_glob(segment: str) -> bool:
    """Whether a segment of a pattern stands for more than one name."""
    return any(char in segment for char in "*?[")


@lru_cache(maxsize=256)
def _regex(segment: str) -> re.Pattern[str]:
    return re.compile(translate(segment))


def _segment_matches(pattern: str, name: str) -> bool:
    return _regex(pattern).match(name) is not None if is_glob(pattern) else pattern == name


def segments(entry: str) -> tuple[str, ...]:
    """The segments of a `submit` entry. Raises RubricError when it leaves the folder."""
    parts = tuple(part for part in entry.split("/") if part not in {"", "."})
    if not parts or entry.startswith("/") or ".." in parts or "\\" in entry or "\0" in entry:
        raise RubricError(
            f"`submit` has an entry that is no path inside the submission: {entry!r}.",
            "Write relative paths with forward slashes, such as `src/*.py`.",
        )
    return parts
