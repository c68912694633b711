"""Points as other systems count them: whole numbers, and sums in the order in which they are added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def rounded(points: float) -> int:
    """To the nearest whole number, half a point upwards."""
    return math.floor(points + 0.5)


def apportioned(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in the proportion of ``shares`` that add up to ``total``: the method of the largest remainder.

    No share may be negative. What has no share gets nothing, unless none has one: then the first gets all.
    """
    whole = math.fsum(shares)
    if not whole:
        return [total if index == 0 else 0 for index in range(len(shares))]
    exact = [share * total / whole for share in shares]
    # A share that is whole but for the way computers count stays whole.
    parts = [math.floor(part + 1e-9) for part in exact]
    left = total - sum(parts)
    by_remainder = sorted(range(len(shares)), key=lambda index: (not shares[index], parts[index] - exact[index]))
    for index in by_remainder[:left]:
        parts[index] += 1
    return parts


def added(numbers: Sequence[float]) -> float:
    """The sum as JavaScript's ``+`` comes to it, one after the other, each time rounded to a double."""
    total = 0.0
    for number in numbers:  # `sum` corrects for the rounding, since Python 3.12
        total += number
    return total


def settled(numbers: Sequence[float], free: Sequence[int], total: float) -> list[float]:
    """``numbers`` with one of those at ``free`` changed in its last digits, so that `added` gives ``total``.

    0.1 and 0.2 add up to 0.30000000000000004 elsewhere, and nobody wants to read that under an assignment. Where no
    such change does it, they stay as they are.
    """
    missing, step = total - added(numbers), math.ulp(total) / 4
    for index in reversed(free):
        # What is missing may be half of the last digit of a sum, which is then rounded one way or the other.
        for near in sorted(range(-8, 9), key=abs):
            changed = [*numbers[:index], numbers[index] + missing + near * step, *numbers[index + 1 :]]
            if added(changed) == total:
                return changed
    return list(numbers)
