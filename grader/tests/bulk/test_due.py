"""What is late, in which zone, and by whose word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from grader.bulk import due, roster
from grader.bulk.learner import Handed, Learner
from grader.errors import UsageError
from grader.tests.bulk.test_plan import committed, rows

if TYPE_CHECKING:
    from pathlib import Path

LAST = due.parse("2026-12-01T23:59+01:00", "--due")


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 12, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "late_from"),
    [
        ("2026-12-01T23:59+01:00", at(1, 23, 0)),  # the minute lasts to its end
        ("2026-12-01 23:59:30+01:00", at(1, 22, 59, 31)),
        ("2026-12-01T23:59Z", at(2, 0, 0)),
        ("2026-12-01T18:59-05:00", at(2, 0, 0)),
        ("2026-12-01 23:59:59 UTC", at(2, 0, 0)),
    ],
)
def test_a_time_is_meant_in_its_zone(text: str, late_from: datetime) -> None:
    last = due.parse(text, "--due")
    assert due.late(Handed("ada", "x", submitted=late_from), Learner("ada"), last) == "yes"
    before = Handed("ada", "x", submitted=late_from - timedelta(seconds=1))
    assert due.late(before, Learner("ada"), last) == "no"


def test_a_time_without_a_zone_is_this_machines_or_the_one_given() -> None:
    assert due.parse("2026-12-01T23:59", "x").time.utcoffset() == datetime(2026, 12, 1).astimezone().utcoffset()
    assert due.parse("2026-12-01T23:59", "x", LAST.zone).time == LAST.time


@pytest.mark.parametrize("text", ["tomorrow", "2026-12-01", "", "23:59", "2026-13-01T10:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        due.parse(text, "roster.csv:3")
    assert caught.value.where == "roster.csv:3"


@pytest.mark.parametrize(
    ("submitted", "platform", "own", "state", "told"),
    [
        (at(1, 22, 59), None, None, "no", ""),
        (
            at(2, 0, 10), None, None, "yes",
            "Late: handed in 2026-12-02 01:10 +0100, 1 h 10 min after it was due (2026-12-01 23:59 +0100)",
        ),
        (at(2, 0, 10), None, at(5, 12, 0), "no", ""),
        (None, None, None, "unknown", "When it was handed in is not known; it was due 2026-12-01 23:59 +0100"),
        # A file that was downloaded is as old as the download.
        (at(9, 0, 0), False, None, "no", ""),
        (at(1, 0, 0), True, None, "yes", "Late, by what the platform says that it was downloaded from"),
        (
            at(1, 0, 0), True, at(5, 12, 0), "unknown",
            "When it was handed in is not known; it was due 2026-12-05 12:00 +0000",
        ),
    ],
)  # fmt: skip
def test_by_whose_word(
    *, submitted: datetime | None, platform: bool | None, own: datetime | None, state: str, told: str
) -> None:
    handed, learner = Handed("ada", "x", submitted=submitted, late=platform), Learner("ada", due=own)
    assert (due.late(handed, learner, LAST), due.told(handed, learner, LAST)) == (state, told)


def test_where_nothing_was_due_the_platforms_word_is_all_there_is() -> None:
    found = {word: due.late(Handed("ada", "x", late=word), Learner("ada"), None) for word in (None, False, True)}
    assert found == {None: "", False: "", True: "yes"}


def test_a_roster_gives_more_time(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("ada", "bob", "cyd"):
        (tmp_path / "in" / name).mkdir()
    listed = tmp_path / "roster.csv"
    listed.write_text("learner,extension\nada,2026-12-05T12:00\nbob,2026-12-05T12:00Z\ncyd,\n")
    ada, bob, cyd = roster.read(tmp_path / "in", listed, LAST.zone)
    assert ada.due is not None
    assert bob.due is not None
    assert ada.due.isoformat() == "2026-12-05T12:00:59.999999+01:00"
    assert bob.due.isoformat() == "2026-12-05T12:00:59.999999+00:00"
    assert cyd.due is None
    listed.write_text("learner,extension\nada,soon\n")
    with pytest.raises(UsageError) as caught:
        roster.read(tmp_path / "in", listed)
    assert caught.value.where == f"{listed}:2"


def test_the_latest_in_time_counts_when_that_is_asked_for(tmp_path: Path) -> None:
    old = committed(tmp_path / "old", "FROM scratch\n", "2026-12-01T10:00:00Z")
    new = committed(tmp_path / "new", "FROM scratch\n# new\n", "2026-12-03T10:00:00Z")
    ada, bob = Learner("ada", (new, old)), Learner("bob", (new,))
    (latest,) = rows(tmp_path, ada, attempts="latest", last=LAST)
    assert latest.handed is not None
    assert (latest.handed.source, latest.late, latest.attempt) == (new.source, "yes", 2)
    in_time, nothing = rows(tmp_path, ada, bob, attempts="in-time", last=LAST)
    assert in_time.handed is not None
    assert (in_time.handed.source, in_time.late, in_time.attempt) == (old.source, "no", 1)
    assert (nothing.handed, nothing.late, nothing.attempts) == (None, "yes", 1)
    assert nothing.trouble == "Nothing was handed in in time"
