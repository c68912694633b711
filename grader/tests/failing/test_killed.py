"""The grader is ended at any moment: nothing of it stays, and what belongs to others does.

Fifty moments, spread by a seed over the whole of one grading. Against an engine of the test's own, so that all that is
in it can be compared.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from grader.engine import private
from grader.engine.leftovers import OWNER
from grader.result import silent
from grader.tests.cli.programs import PLAIN
from grader.tests.conftest import exercise_folder, write_files
from grader.tests.engine import own
from grader.tests.failing.scenes import APP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

MOMENTS = 50
SEED = int(os.environ.get("GRADER_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
#: At once; the engine has to tell them apart.
JOBS = 3
BASE = "debian:bookworm-slim"
DOCKERFILE = f"""\
FROM {BASE}
COPY app.pl /app.pl
RUN echo built > /built
VOLUME /data
CMD ["perl", "/app.pl"]
"""
CHECKS: list[dict[str, Any]] = [
    {"check": "build", "required": True},
    {"check": "http", "get": "/", "text": "ok"},
    {"check": "command", "command": "echo hello", "text": "hello"},
    {"check": "pytest", "file": "test_it.py"},
]


@dataclass
class Place:
    """An engine of the test's own, and what a learner has on the machine."""

    client: Any
    endpoint: str
    root: Path
    learner: Path
    course: Path
    temporary: Path
    made: set[str] = field(default_factory=set)

    def start(self, *arguments: str, folder: Path) -> subprocess.Popen[str]:
        folder.mkdir(parents=True, exist_ok=True)
        here = {"DOCKER_HOST": self.endpoint, "TMPDIR": str(folder), "XDG_CACHE_HOME": str(self.root / "cache")}
        return subprocess.Popen(
            [sys.executable, "-m", "grader", *arguments], cwd=self.learner, env=PLAIN | here, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def grade(self, folder: Path) -> subprocess.Popen[str]:
        return self.start("grade", "1", "--course", str(self.course), "--verbose", "--yes", "--plain", folder=folder)

    def contents(self) -> dict[str, set[str]]:
        """All that is in the engine, whoever made it."""
        client = self.client
        return {
            "containers": {one["Id"] for one in client.containers(all=True)},
            "images": {one["Id"] for one in client.images(all=True)},
            "networks": {one["Id"] for one in client.networks()},
            "volumes": {one["Name"] for one in client.volumes()["Volumes"] or ()},
        }

    def left_by(self, pid: int) -> list[str]:
        everything = [*self.client.containers(all=True), *self.client.images()]
        return [one["Id"] for one in everything if f":{pid}:" in (one.get("Labels") or {}).get(OWNER, "")]


@pytest.fixture(scope="module")
def place(engine: Engine) -> Iterator[Place]:
    if not private.available():
        pytest.skip("takes Linux, root and dockerd")
    with tempfile.TemporaryDirectory(prefix="gk", ignore_cleanup_errors=True) as short:
        root = Path(short)
        # Networks of its own: several suites on one machine would else use up those that the grader takes.
        subnets = tuple(f"10.{214 + os.getpid() % 40}.{16 * part}.0/20" for part in range(16))
        home = private.Home(run=root / "r", data=root / "d", bridge=f"gk{os.getpid() % 10**8}", subnets=subnets)
        try:
            endpoint = private.start(silent, home)
            client = docker.APIClient(base_url=endpoint, version="1.41", timeout=120)
            own.copy(engine, client, (BASE,))
            app = {"port": 5000, "ready": {"within": "60s"}}
            folder = exercise_folder(root, CHECKS, app=app, base_images=(BASE,), own={"app.pl": APP})
            write_files(folder, {"test_it.py": "def test_it(image):\n    assert image.files\n"})
            write_files(root / "learner", {"Dockerfile": DOCKERFILE})
            found = Place(client, endpoint, root, root / "learner", folder.parent, root / "tmp")
            with noting(found):
                yield found
            client.close()
        finally:
            private.stop(home)


@contextmanager
def noting(place: Place) -> Iterator[None]:
    """Takes down the ids of all containers that are made meanwhile."""
    events = place.client.events(decode=True, filters={"type": "container", "event": "create"})
    thread = threading.Thread(target=lambda: place.made.update(event["id"] for event in events), daemon=True)
    thread.start()
    try:
        yield
    finally:
        events.close()
        thread.join(10)


@contextmanager
def others(place: Place) -> Iterator[None]:
    """A container, an image, a volume and a network of somebody else's."""
    client = place.client
    client.create_volume("theirs")
    network = client.create_network("theirs")["Id"]
    client.tag(BASE, "theirs", "1")
    volumes = client.create_host_config(binds=["theirs:/data"], network_mode=network)
    container = client.create_container("theirs:1", ["sleep", "600"], host_config=volumes, volumes=["/data"])["Id"]
    client.start(container)
    try:
        yield
    finally:
        client.remove_container(container, force=True)
        client.remove_image("theirs:1")
        # Its bridge would be there when the engine is not any more.
        client.remove_network(network)
        client.remove_volume("theirs")


def mounts(root: Path) -> set[str]:
    """What is mounted below the test's own folder; the rest of the machine is others'."""
    places = {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}
    return {place for place in places if place.startswith(f"{root}/")}


def loops(root: Path) -> set[str]:
    """Files of the test's own folder that are the content of a loop device."""
    files = (path / "loop/backing_file" for path in Path("/sys/block").glob("loop*"))
    backing = {file.read_text().strip() for file in files if file.exists()}
    return {file for file in backing if file.startswith(f"{root}/")}


def groups(containers: set[str]) -> list[str]:
    """Control groups of these containers."""
    return [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if any(one in folder for one in containers)]


def end(place: Place, number: int, moment: float, how: signal.Signals) -> str:
    """Grades, and ends that after ``moment`` seconds; says what is wrong then, or nothing."""
    # What a killed one leaves of temporary files is for `grader clean` to find.
    folder = place.temporary / ("killed" if how is signal.SIGKILL else str(number))
    process = place.grade(folder)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(how)
    output, said = process.communicate(timeout=120)
    told = f"{how.name} after {moment:.2f} s, exit code {process.returncode}"
    if how is signal.SIGKILL or process.returncode == 0:
        return ""
    wrong = [f"left {left}"] if (left := place.left_by(process.pid)) else []
    wrong += [f"temporary files {names}"] if (names := [path.name for path in folder.iterdir()]) else []
    # Before its first line the interpreter itself may be interrupted, in its own words.
    if "prepare" in said or "build" in said:
        wrong += [f"said {said[-500:]}{output[:1500]}"] if "Traceback" in said or process.returncode != 130 else []
    return f"{told}: {'; '.join(wrong)}" if wrong else ""


def die_with_a_folder(place: Place) -> None:
    """Kills a grading while it has a temporary folder; by chance none of the others may have died with one."""
    folder = place.temporary / "killed"
    process = place.grade(folder)
    while not any(str(process.pid) in path.name for path in folder.iterdir()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=120)


def test_nothing_of_a_run_survives_it(place: Place) -> None:
    mounted, looped = mounts(place.root), loops(place.root)
    with others(place):
        before = place.contents()
        began = time.monotonic()
        process = place.grade(place.temporary / "whole")
        _, said = process.communicate(timeout=120)
        whole = time.monotonic() - began
        assert process.returncode == 0, said
        chance = random.Random(SEED)
        # One of each kind in each part of a grading.
        kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL)
        plan = [
            (whole * (part + chance.random()) / (MOMENTS // 5), how) for part in range(MOMENTS // 5) for how in kinds
        ]
        with ThreadPoolExecutor(JOBS) as pool:
            told = pool.map(lambda each: end(place, each[0], *each[1]), enumerate(plan))
            wrong = [each for each in told if each]
        assert not wrong, f"GRADER_TEST_SEED={SEED}: {wrong}"
        die_with_a_folder(place)
        cleaner = place.start("clean", folder=place.temporary / "killed")
        removed, said = cleaner.communicate(timeout=120)
        assert cleaner.returncode == 0, said
        # Containers and images may have gone with the gradings that came after; folders are its own to find.
        assert "removed " in removed
        assert list((place.temporary / "killed").iterdir()) == []
        left = {kind: found - before[kind] for kind, found in place.contents().items()}
        assert not any(left.values()), f"GRADER_TEST_SEED={SEED}: {left}"
        assert place.contents() == before
    assert groups(place.made) == []
    assert mounts(place.root) == mounted
    assert loops(place.root) == looped
