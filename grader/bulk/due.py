"""When something was due, and whether it was handed in by then.

Shown, never counted: what a late submission costs is the instructor's to say. A time is the commit's where there is a
repository, else what a roster or the file says; whoever sets a clock or a commit's time can be told by nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from grader.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

    from grader.bulk.learner import Handed, Learner

#: Whether a submission is late, in words; empty when nothing was due.
YES, NO, UNKNOWN = "yes", "no", "unknown"


@dataclass(frozen=True)
class Due:
    """The last moment, in the zone that it was given in."""

    time: datetime

    @property
    def zone(self) -> tzinfo:
        """What times without a zone are meant in."""
        return self.time.tzinfo or UTC


def parse(text: str, where: str, zone: tzinfo | None = None) -> Due:
    """``2026-12-01T23:59+01:00``; without a zone it is ``zone``, else this machine's. A minute lasts to its end.

    Raises ``UsageError``; a date alone is refused, for it would be the midnight before.
    """
    try:
        found = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        found = None
    if found is None or ":" not in text:
        raise UsageError(
            f"This is no time that something can be due at: {text}",
            "Write the date, the time and the zone: 2026-12-01T23:59+01:00",
            where=where,
        )
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone) if zone else found.astimezone()
    return Due(found if re.search(r"\d\d:\d\d:\d\d", text) else found.replace(second=59, microsecond=999_999))


def late(handed: Handed, learner: Learner, due: Due | None) -> str:
    """Whether it is late: by its time where there is one and something was due, else by what its platform said."""
    last = _last(learner, due)
    if handed.late is not None:
        # The platform knows when it came, and a file's time is that of the download; of extensions given here it knows
        # nothing.
        return UNKNOWN if handed.late and learner.due else YES if handed.late else NO if last else ""
    if last is None:
        return ""
    if handed.submitted is None:
        return UNKNOWN
    return YES if handed.submitted > last else NO


def _last(learner: Learner, due: Due | None) -> datetime | None:
    return learner.due or (due.time if due else None)


def told(handed: Handed, learner: Learner, due: Due | None) -> str:
    """A sentence for the learner's result; empty when it was in time, or nothing was due."""
    state, last = late(handed, learner, due), _last(learner, due)
    if state == YES and last and handed.submitted and handed.late is None:
        given = handed.submitted.astimezone(last.tzinfo)
        return f"Late: handed in {_shown(given)}, {_span(given - last)} after it was due ({_shown(last)})"
    if state == YES:
        return "Late, by what the platform says that it was downloaded from"
    if state == UNKNOWN and last:
        return f"When it was handed in is not known; it was due {_shown(last)}"
    return ""


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} {time:%z}".rstrip()


def _span(late: timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest or minutes == 0)
    return " ".join(parts[:2])
