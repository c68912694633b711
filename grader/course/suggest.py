"""Did-you-mean."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` was probably meant to be; None when nothing comes near."""
    by_folded = {word.casefold(): word for word in known}
    folded = name.strip().casefold()
    near = get_close_matches(folded, by_folded, n=1, cutoff=0.7)
    near = near or [word for word in by_folded if _is_part(folded, word) or _is_part(word, folded)]
    near = near or get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def _is_part(part: str, whole: str) -> bool:
    # Shorter ones lie in too many words by chance.
    return len(part) >= 4 and part in whole


def listed(words: Iterable[str], *, last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``: each in backquotes."""
    quoted = [f"`{word}`" for word in words]
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
