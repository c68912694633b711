"""A full disk: the engine's data in a file system of a fixed size, filled and freed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.cli.grade import exit_code
from grader.engine import private
from grader.engine.connect import connect
from grader.errors import ExitCode
from grader.result import Fault, Status, silent
from grader.tests.engine.registry import layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine
    from grader.tests.conftest import Grade

_SIZE = 64 << 20
BASE = "localhost/grader-test-tiny:1"


@contextmanager
def file_system(file: Path, place: Path) -> Iterator[None]:
    """A file system of ``_SIZE`` bytes at ``place``; skips where none can be mounted."""
    with file.open("wb") as image:
        image.truncate(_SIZE)
    place.mkdir()
    for command in (["mkfs.ext4", "-q", "-m", "0", str(file)], ["mount", "-o", "loop", str(file), str(place)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip(f"this machine has no {command[0]}")
        if done.returncode:
            pytest.skip(f"no loop device can be had here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Engine, Path]]:
    """An engine with little room, and the folder that it shares with nobody."""
    if not private.available() or not engine.local:
        pytest.skip("takes Linux, root and dockerd")
    with tempfile.TemporaryDirectory(prefix="gf") as short, file_system(Path(short, "fs"), Path(short, "m")):
        root = Path(short)
        subnets = tuple(f"10.{214 + os.getpid() % 40}.{16 * part}.0/20" for part in range(16))
        home = private.Home(run=root / "r", data=root / "m/d", bridge=f"gf{os.getpid() % 10**8}", subnets=subnets)
        try:
            monkeypatch.setenv("DOCKER_HOST", private.start(silent, home))
            found = connect()
            found.client.import_image_from_data(layer(), BASE, None, [])
            yield found, root / "m"
            found.client.close()
        finally:
            private.stop(home)


def test_a_full_disk_is_nobody_s_failure(small: tuple[Engine, Path], grade: Grade) -> None:
    engine, place = small
    many = {f"file{number}": os.urandom(500_000).hex() for number in range(8)}
    checks = [{"check": "build"}, {"check": "present", "path": "/file7"}]

    def graded() -> tuple[Status, float | None]:
        files = {name: text + str(number) for number, (name, text) in enumerate(many.items())}
        result = grade(f"FROM {BASE}\nCOPY . /\n", checks, own=files, on=engine, base_images=(BASE,))
        if result.status is Status.ERROR:
            assert result.problem is not None
            assert (result.problem.fault, exit_code(result)) == (Fault.INFRASTRUCTURE, ExitCode.INFRASTRUCTURE)
            assert "disk is full" in result.problem.what
            assert "Free space" in result.problem.fix
            assert {check.fault for check in result.checks} == {Fault.INFRASTRUCTURE}
        return result.status, result.score

    with (place / "full").open("wb") as ballast:
        free = os.statvfs(place)
        os.posix_fallocate(ballast.fileno(), 0, free.f_bavail * free.f_frsize - (4 << 20))
    assert graded() == (Status.ERROR, None)
    assert not engine.client.containers(all=True)
    assert not engine.client.images(filters={"label": "grader.run"})
    (place / "full").unlink()
    assert graded() == (Status.PASSED, 20)
