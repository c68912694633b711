"""What the kernel did about builds that used too much: it writes down whom it killed for want of memory, and why.

Sources: the kernel's Documentation/ABI/testing/dev-kmsg for the records; mm/oom_kill.c (``dump_oom_victim``) for the
line. What a program calls itself stands behind all that is read here, so it forges nothing.
"""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

_LOG = Path("/dev/kmsg")
_KILL = re.compile(
    r"oom-kill:constraint=\w+,.*?(?:,global_oom|,oom_memcg=(?P<full>[^,]*)),task_memcg=(?P<of>[^,]*),task="
)
#: The kernel's log and the clock drift apart, by less than that many seconds.
_DRIFT = 3.0


class Kill(Enum):
    """Whose memory was used up when something in a build was killed."""

    STEP = auto()
    ALL_STEPS = auto()
    MACHINE = auto()


def kills(steps: str, since: float) -> set[Kill]:
    """For want of whose memory something was killed in the control group ``steps`` or below it, ``since`` a time.

    ``since`` is in seconds since the epoch. Empty also where the kernel's log may not be read.
    """
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = set()
    for at, text in _records():
        match = _KILL.search(text) if at + booted >= since - _DRIFT else None
        if match and match["of"].startswith(f"{steps}/"):
            full = match["full"]
            if full is None or not f"{full}/".startswith(f"{steps}/"):
                found.add(Kill.MACHINE)
            else:
                found.add(Kill.ALL_STEPS if full == steps else Kill.STEP)
    return found


def _records() -> list[tuple[float, str]]:
    """The kernel's log: when, in seconds since it started, and what."""
    found: list[tuple[float, str]] = []
    with suppress(OSError):
        log = os.open(_LOG, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while record := _next(log):
                head, _, text = record.partition(b";")
                with suppress(ValueError, IndexError):
                    found.append((int(head.split(b",")[2]) / 1e6, text.decode(errors="replace")))
        finally:
            os.close(log)
    return found


def _next(log: int) -> bytes:
    """A record, empty after the last; one that was overwritten meanwhile is passed over."""
    while True:
        try:
            return os.read(log, 8192)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
