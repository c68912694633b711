"""When room on the engine's disk gets scarce: what is given up, what is told, and when a run pauses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grader.bulk import space
from grader.bulk.space import Space
from grader.engine.room import Room

GB = 10**9


class Disk:
    """A disk that `free` bytes are left of; a prune that keeps less than `cache` frees the rest."""

    def __init__(self, free: int, cache: int) -> None:
        self.room = Room(Path("/data"), 100 * GB, free, None)
        self.cache = cache
        self.pruned: list[int] = []

    def of(self, _engine: object) -> Room:
        return self.room

    def prune(self, _engine: object, keep: int, *, silence: float) -> int:
        assert silence > 0
        self.pruned.append(keep)
        freed = max(0, self.cache - keep)
        self.cache -= freed
        self.room = replace(self.room, free=self.room.free + freed)
        return freed


Begun = Callable[..., tuple[Disk, Space, list[float]]]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """A disk, whoever looks at it, and the clock."""

    def begin(free: int, cache: int, *, own: bool, bound: int | None = None) -> tuple[Disk, Space, list[float]]:
        disk, now = Disk(free, cache), [0.0]
        monkeypatch.setattr(space, "room", SimpleNamespace(of=disk.of))
        monkeypatch.setattr(space, "cache", SimpleNamespace(prune=disk.prune))
        engine: Any = SimpleNamespace(private=own, local=False, endpoint="")
        return disk, Space(engine, bound, lambda: now[0]), now

    return begin


def test_room_is_left_alone(begun: Begun) -> None:
    disk, found, _ = begun(50 * GB, 30 * GB, own=True)
    assert (found.trouble(), disk.pruned) == ("", [])


def test_our_own_engines_cache_is_given_up_some_of_it_first(begun: Begun) -> None:
    disk, found, _ = begun(GB, 30 * GB, own=True)
    assert (found.trouble(), disk.pruned) == ("", [GB])
    disk, found, _ = begun(0, GB // 2, own=True)
    assert (found.trouble(), disk.pruned) == ("", [GB, 0])


def test_a_disk_that_stays_full_is_told_until_there_is_room(begun: Begun) -> None:
    disk, found, now = begun(5_000_000, 0, own=True)
    told = "the engine's disk is full: 5 MB of 100 GB left at /data"
    assert found.trouble() == told
    disk.room = replace(disk.room, free=50 * GB)
    assert found.trouble() == told, "it looks once a second"
    now[0] += space.LOOK
    assert found.trouble() == ""
    assert disk.pruned == [GB, 0]


def test_another_engines_cache_is_somebodys_unless_a_bound_was_asked_for(begun: Begun) -> None:
    disk, found, now = begun(GB, 30 * GB, own=False)
    assert (found.trouble(), disk.pruned) == ("", [])
    disk.room = replace(disk.room, free=0)
    now[0] += space.LOOK
    assert "--cache-bound" in found.trouble()
    assert disk.pruned == []

    disk, found, now = begun(50 * GB, 30 * GB, own=False, bound=5 * GB)
    assert found.trouble() == ""
    now[0] += space.LOOK
    found.trouble()
    assert (disk.pruned, disk.cache) == ([5 * GB], 5 * GB)
    now[0] += space.BOUND
    found.trouble()
    assert disk.pruned == [5 * GB, 5 * GB]
