"""Two commands in turn, timed as a person waits for them: process start included."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def seconds(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> float:
    """How long a command takes; it has to succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def in_turn(rounds: int, *contestants: Callable[[], float]) -> list[list[float]]:
    """Seconds of each contestant, one after the other in every round, so that a busy machine hits them alike."""
    for contestant in contestants:
        contestant()  # not counted: caches fill
    measured = [[contestant() for contestant in contestants] for _ in range(rounds)]
    return [list(column) for column in zip(*measured, strict=True)]


def told(name: str, times: Sequence[float]) -> str:
    """Median and range, in milliseconds."""
    middle = statistics.median(times)
    return f"{name:<28} median {middle * 1000:7.0f} ms   ({min(times) * 1000:.0f} to {max(times) * 1000:.0f})"
