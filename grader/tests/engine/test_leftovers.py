"""What a killed grader left is removed, what a living one uses is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import docker
import pytest

from grader import scratch
from grader.engine import leftovers
from grader.engine.connect import API_VERSION
from grader.tests.engine.building import Workshop, unique

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def alive() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def owned_by(pid: int) -> dict[str, str]:
    return {leftovers.RUN: f"test-{unique()}", leftovers.OWNER: scratch.owner(pid)}


def create(workshop: Workshop, labels: dict[str, str]) -> str:
    container: str = workshop.engine.client.create_container("debian:bookworm-slim", ["true"], labels=labels)["Id"]
    return container


def there(workshop: Workshop, labels: dict[str, str]) -> int:
    only = {"label": f"{leftovers.RUN}={labels[leftovers.RUN]}"}
    client = workshop.engine.client
    return len(client.containers(all=True, filters=only)) + len(client.images(filters=only))


def test_clean_removes_what_a_dead_process_left_and_nothing_else(
    workshop: Workshop, ended: int, alive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every grading removes what the dead left; whoever grades beside this test is not to find these.
    monkeypatch.setattr(leftovers, "RUN", f"{leftovers.RUN}.{unique()}")
    dead, live = owned_by(ended), owned_by(alive)
    mine = leftovers.Run.new().labels
    elsewhere = owned_by(ended) | {leftovers.OWNER: f"another-machine:{ended}:1"}
    reused = owned_by(alive) | {leftovers.OWNER: scratch.owner(alive).rpartition(":")[0] + ":1"}
    nobodys = {leftovers.RUN: f"test-{unique()}"}
    contained = owned_by(ended) | {leftovers.PIDS: "pid:[1]"}
    every = (dead, live, mine, elsewhere, reused, nobodys, contained)
    try:
        for labels in every:
            create(workshop, labels)
        workshop.build(f"FROM debian:bookworm-slim\nLABEL x={unique()}\n", labels=dead)
        # Podman keeps the image for the next build, whoever made it, until one cleans.
        assert there(workshop, dead) == (1 if workshop.engine.name == "podman" else 2)
        removed = leftovers.clean(workshop.engine)
        kept = [there(workshop, labels) for labels in every]
    finally:
        for labels in every:
            leftovers.remove(workshop.engine, leftovers.Run(labels[leftovers.RUN]))
    wanted = [0, 1, 1, 1, 0 if sys.platform == "linux" else 1, 0, 1]
    assert kept == wanted
    assert {line.split()[0] for line in removed} == {"container", "image"}
    assert not any(there(workshop, labels) for labels in every)


def test_an_engine_that_has_gone_leaves_nothing_to_remove(workshop: Workshop) -> None:
    client = docker.APIClient("tcp://127.0.0.1:9", version=API_VERSION, timeout=1)
    leftovers.remove(replace(workshop.engine, client=client), workshop.run)
    client.close()


@pytest.mark.parametrize("owner", ["", "x", "::", "host:notanumber:1", ":1:2"])
def test_a_label_that_says_nothing_is_nobodys(owner: str) -> None:
    assert not leftovers._is_alive({"Labels": {leftovers.OWNER: owner}})
    assert not leftovers._is_alive({"Labels": None})


def test_every_run_has_a_name_of_its_own() -> None:
    assert len({leftovers.Run.new().id for _ in range(100)}) == 100
