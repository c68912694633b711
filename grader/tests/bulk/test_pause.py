"""When a run pauses, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.bulk import pause
from grader.bulk.pause import Pause

if TYPE_CHECKING:
    import pytest


def test_tries_come_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "FIRST", 5.0)
    monkeypatch.setattr(pause, "MOST", 15.0)
    now = [100.0]
    found = Pause(after=2, clock=lambda: now[0])
    found.fault("x")
    assert (found.reason, found.may_try) == ("", True)
    found.fault("y")
    assert (found.reason, found.may_try) == ("y", False)
    waits = []
    for _ in range(4):
        began = now[0]
        while not found.may_try:
            now[0] += 1
        waits.append(now[0] - began)
        found.fault("z")
    assert waits == [5, 10, 15, 15]
    assert found.longer_than(44)
    assert not found.longer_than(45)
    found.verdict()
    assert (found.reason, found.may_try, found.longer_than(0)) == ("", True, False)
    found.fault("once more")
    assert found.reason == ""


def test_what_holds_a_run_lets_nothing_be_tried_and_counts_from_its_beginning() -> None:
    now = [100.0]
    found = Pause(after=2, clock=lambda: now[0])
    found.hold("no room")
    now[0] += 30
    found.hold("no room")
    assert (found.reason, found.may_try, found.longer_than(29), found.longer_than(30)) == (
        "no room",
        False,
        True,
        False,
    )
    # What ran when it was full has met that.
    found.fault("x")
    found.fault("no space left")
    found.let_go()
    assert (found.reason, found.may_try, found.longer_than(29)) == ("no space left", False, True)
    now[0] += pause.FIRST
    assert found.may_try
    found.verdict()
    assert (found.reason, found.may_try) == ("", True)
