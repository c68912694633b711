"""Build steps that take all that they can get, on an engine of ours that does not give it."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine import cache, fences, leftovers, private, room
from grader.engine.connect import Engine
from grader.engine.embedded import cgroup, standing
from grader.engine.faults import kernel
from grader.errors import EngineError, SubmissionError
from grader.tests.engine import own
from grader.tests.engine.building import Workshop, unique, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.engine.build import Build

SLIM = "FROM debian:bookworm-slim\n"
LIMITS = private.Limits(disk=4_000_000_000, cache=100_000_000, memory=150_000_000, processes=60)


@pytest.fixture(scope="module")
def bounded(engine: Engine) -> Iterator[tuple[private.Home, Engine]]:
    if not private.available():
        pytest.skip("takes Linux, root and dockerd")
    with own.engine(LIMITS, images=engine) as found:
        stands = standing.of(found[1])
        assert stands is not None
        if stands.no_limits:
            pytest.skip(stands.no_limits)
        if not os.access("/dev/kmsg", os.R_OK):
            pytest.skip("the kernel's log may not be read here")
        yield found


@pytest.fixture(autouse=True)
def _nothing_of_the_test_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel wrote down a moment before a step was started counts as of that step: see `kernel._DRIFT`."""
    monkeypatch.setattr(kernel, "_DRIFT", 0.0)


@pytest.fixture
def shop(bounded: tuple[private.Home, Engine]) -> Iterator[Workshop]:
    with workshop(bounded[1]) as found:
        yield found


def failure(built: Build) -> SubmissionError:
    assert built.failure is not None
    return built.failure


def hog() -> str:
    return SLIM + f"RUN echo {unique()}\nRUN tail /dev/zero\n"


def bomb() -> str:
    return SLIM + f"RUN echo {unique()}; for i in $(seq 500); do sleep 30 & done; wait\n"


def test_a_step_that_takes_all_memory_is_stopped_and_its_limit_named(shop: Workshop) -> None:
    error = failure(shop.build(hog()))
    assert "stopped at the limit of 150 MB of memory" in error.what
    assert error.line == 3
    assert "--memory" in error.fix


def test_memory_is_named_where_only_a_child_was_killed(shop: Workshop) -> None:
    text = SLIM + f"RUN echo {unique()}; tail /dev/zero; echo went on, $?; exit 1\n"
    assert "limit of 150 MB of memory" in failure(shop.build(text)).what


def test_a_step_that_ends_like_that_by_itself_has_met_no_limit(shop: Workshop) -> None:
    error = failure(shop.build(SLIM + f"RUN echo {unique()}; exit 137\n"))
    assert "exit code 137" in error.what
    assert "limit" not in error.what


def test_a_step_that_forks_without_end_is_stopped_and_a_build_beside_it_goes_on(shop: Workshop) -> None:
    beside: list[Build] = []
    slow = SLIM + f"RUN echo {unique()}; for i in 1 2 3 4 5 6 7 8; do sleep 0.2; sh -c 'true & wait'; done\n"
    other = threading.Thread(target=lambda: beside.append(shop.build(slow)))
    other.start()
    error = failure(shop.build(bomb()))
    failure(shop.build(hog()))
    other.join()
    assert "limit of 60 processes" in error.what
    assert [built.failure for built in beside] == [None]


def test_memory_that_all_steps_together_used_up_is_no_fault_of_one(
    shop: Workshop, bounded: tuple[private.Home, Engine]
) -> None:
    limit = cgroup.group_of_steps("memory", bounded[0].cgroup)
    assert limit is not None
    before = _limit(limit)
    try:
        assert cgroup._bound_memory(limit, 50_000_000) is not None
        with pytest.raises(EngineError, match="All builds together"):
            shop.build(hog())
    finally:
        cgroup._bound_memory(limit, before)


def _limit(folder: Path) -> int:
    names = ("memory.max", "memory.limit_in_bytes")
    return int(next((folder / name).read_text() for name in names if (folder / name).exists()))


def test_which_fences_stand_is_told(bounded: tuple[private.Home, Engine]) -> None:
    told = {fence.name: fence for fence in fences.of(bounded[1])}
    assert [fence.name for fence in told.values() if fence.present] == list(fences.NAMES[:4])
    assert told["build memory"].text.startswith("150 MB for a step")
    assert told["build disk"].text == "a file system of 4 GB"
    assert fences.missing(bounded[1]) == ()


def test_an_engine_that_bounds_all_steps_is_not_asked_what_it_bounds(
    bounded: tuple[private.Home, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("this takes the engine longer than all other questions of a grading")

    monkeypatch.setattr(type(bounded[1].client), "info", refuse)
    assert fences.missing(bounded[1]) == ()


def test_the_build_cache_is_pruned_when_it_is_asked_for(shop: Workshop) -> None:
    text = SLIM + f"RUN echo {unique()}; head -c 20M /dev/urandom > /large\n"
    assert shop.build(text).failure is None
    leftovers.remove(shop.engine, shop.run)
    assert cache.prune(shop.engine, keep=10**12) == 0
    assert cache.prune(shop.engine, keep=1_000_000) >= 20_000_000
    again = shop.build(text)
    assert again.failure is None
    assert [step.cached for step in again.steps if "head" in step.name] == [False]


def test_a_full_disk_is_the_engines_own(shop: Workshop, bounded: tuple[private.Home, Engine]) -> None:
    home, engine = bounded
    before = room.of(engine)
    assert before is not None
    assert before.folder == home.data
    assert not before.full
    machine = room.at(home.data.parent)
    assert machine is not None
    with pytest.MonkeyPatch.context() as patch:
        look = room.at
        patch.setattr(room, "at", lambda f: replace(machine, free=1_000_000) if f == home.data.parent else look(f))
        # The disk is a file that has to grow.
        assert room.of(engine) == replace(before, free=1_000_000)
    filler = home.data / "filler"
    with filler.open("wb") as file:
        # Nothing is written: the machine's disk stays as it is.
        room_left = room.of(engine)
        assert room_left is not None
        os.posix_fallocate(file.fileno(), 0, room_left.free - 50_000_000)
    try:
        full = room.of(engine)
        assert full is not None
        assert full.full
        with pytest.raises(EngineError, match="disk is full"):
            shop.build(SLIM + f"RUN echo {unique()}; head -c 200M /dev/urandom > /large\n")
    finally:
        filler.unlink()
    assert shop.build(SLIM + f"RUN echo {unique()}; head -c 100M /dev/zero > /large\n").failure is None


@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]}, fences.NAMES[:3]),
        ({"SecurityOptions": ["name=rootless"], "MemoryLimit": False, "PidsLimit": True}, fences.NAMES[:4]),
        ({"MemoryLimit": True, "PidsLimit": True}, (*fences.NAMES[:3], fences.NAMES[4])),
    ],
)
def test_what_other_engines_lack_is_told(facts: dict[str, Any], missing: tuple[str, ...]) -> None:
    client: Any = SimpleNamespace(info=lambda: facts)
    other = Engine(client, "docker", "28.0.0", "1.48", "linux/amd64", "tcp://elsewhere:2376")
    lacking = [fence for fence in fences.of(other) if not fence.present]
    assert tuple(fence.name for fence in lacking) == missing
    assert all(fence.text and fence.fix for fence in lacking)
    # User namespaces are recommended, and no more.
    assert fences.missing(other) == tuple(fence for fence in lacking if fence.name != fences.NAMES[4])
