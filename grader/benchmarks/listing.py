"""`grader list` beside a Python that does nothing: what our own start costs. Goal: at most 150 ms more."""

from __future__ import annotations

import statistics
import sys

from grader.benchmarks.timing import in_turn, seconds, told

GOAL = 0.150


def main(rounds: int) -> int:
    """Prints both medians and their difference."""
    nothing, ours = in_turn(
        rounds,
        lambda: seconds([sys.executable, "-c", "pass"]),
        lambda: seconds([sys.executable, "-c", "from grader.__main__ import main; main()", "list"]),
    )
    print(told("python -c pass", nothing))
    print(told("grader list", ours))
    more = statistics.median(ours) - statistics.median(nothing)
    print(f"difference of the medians    {more * 1000:.0f} ms   (goal: at most {GOAL * 1000:.0f} ms)")
    return 0
