"""An engine that is restarted, and one whose disk fills up, while a class is graded: nobody loses a point."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from grader.engine import build as building
from grader.engine import cache, private, room
from grader.engine.connect import connect
from grader.engine.embedded.bridge import SUBNETS
from grader.result import silent
from grader.submission import context
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import File
from grader.tests.bulk.test_class import arguments, rows, verdicts
from grader.tests.bulk.test_killed import GOOD, RUBRIC
from grader.tests.cli.programs import PLAIN, command, course, until
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine as Connected

#: Bytes of the engine's disk; the file that holds it is sparse.
SIZE = 3_000_000_000
CLASS = 8
#: A class looks at the disk once in a second, and grades two or three of this one in that time.
LARGER = 24


@dataclass(frozen=True)
class Engine:
    """A private engine, and where its data is."""

    home: private.Home

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It does not run until the end of the block."""
        private.stop(self.home)
        try:
            yield
        finally:
            private.start(silent, self.home)

    @contextmanager
    def full(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """All of its disk is taken until the end of the block."""
        monkeypatch.setenv("DOCKER_HOST", private.endpoint(self.home))
        found = room.of(connect())
        assert found is not None
        assert found.size < 2 * SIZE, "this is a disk of its own"
        ballast = found.folder / "ballast"
        try:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, found.free - 4_000_000)
            yield
        finally:
            ballast.unlink()


@pytest.fixture(scope="module")
def own() -> Iterator[Engine]:
    """An engine of its own, on a small disk of its own."""
    if not private.available() or not shutil.which("mkfs.ext4"):
        pytest.skip("takes Linux, root, dockerd and mkfs.ext4")
    with tempfile.TemporaryDirectory(prefix="go-") as folder, _disk(Path(folder)) as disk:
        # One more: whoever tests beside us may have taken all of the usual ones.
        subnets, bridge = (*SUBNETS, "10.214.0.0/20"), f"go{os.getpid() % 10**8}"
        home = private.Home(Path(folder) / "run", disk / "data", bridge, subnets)
        try:
            private.start(silent, home)
            yield Engine(home)
        finally:
            private.stop(home)


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    disk, image = folder / "disk", folder / "image"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    mounted = subprocess.run(
        ["mount", "-o", "loop", str(image), str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def begun(own: Engine, root: Path, size: int = CLASS) -> subprocess.Popen[str]:
    """A class that is being graded; at least one has a verdict, and most have none."""
    exercises, _ = course(root, RUBRIC, GOOD)
    for number in range(size):
        text = GOOD.replace("right", "wrong") if number % 4 == 0 else GOOD
        write_files(root / f"in/l{number}", {"Dockerfile": text + f"# {number}\n"})
    # No stand-in is needed: nobody starts from a base image.
    words = arguments(exercises, root / "in", root / "out", "--jobs", "1")
    process = subprocess.Popen(
        command("grader", *words),
        env=PLAIN | {"DOCKER_HOST": private.endpoint(own.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: verdicts(root / "out") or process.poll() is not None, "a verdict")
    return process


def paused(process: subprocess.Popen[str]) -> str:
    """Why it pauses; what it says before that is read away."""
    assert process.stderr is not None
    for line in iter(process.stderr.readline, ""):
        if line.startswith("paused: "):
            return line.removeprefix("paused: ")
    return "it did not"


def check_whole(process: subprocess.Popen[str], root: Path, size: int = CLASS) -> None:
    """Everybody has the verdict that an undisturbed run gives."""
    told, said = process.communicate(timeout=300)
    assert process.returncode == 0, told + said
    assert "going on" in said
    scores = {name: row["score"] for name, row in rows(root / "out").items()}
    assert scores == {f"l{number}": "10" if number % 4 == 0 else "20" for number in range(size)}


def test_an_engine_that_is_restarted_costs_nobody_points(own: Engine, tmp_path: Path) -> None:
    process = begun(own, tmp_path)
    with own.stopped():
        assert verdicts(tmp_path / "out") < CLASS
        assert "ngine" in paused(process)
    check_whole(process, tmp_path)


def test_a_full_disk_pauses_a_run_that_goes_on_when_there_is_room(
    own: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = begun(own, tmp_path, LARGER)
    with own.full(monkeypatch):
        assert verdicts(tmp_path / "out") < LARGER
        assert paused(process).startswith("the engine's disk is full: ")
    check_whole(process, tmp_path, LARGER)


def test_build_cache_is_kept_to_a_bound(own: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", private.endpoint(own.home))
    engine = connect()
    text = b"FROM scratch\nCOPY data /\n"
    for number in range(4):
        files = {"Dockerfile": File(text), "data": File(bytes([number]) * 5_000_000)}
        packed, dockerfile = context.pack(files, limit=1 << 24), dockerfiles.parse(text)
        built = building.build(engine, packed, dockerfile, building.Options())
        cast("Any", engine.client).remove_image(built.image_id, force=True)
    before = cached(engine)
    assert before > 20_000_000
    assert cache.prune(engine, 2 * before) == 0
    # The engine lets go of what a build used a moment after its end.
    until(partial(kept_to, engine, 12_000_000), "it is kept to the bound")
    assert cached(engine) > 0
    until(partial(kept_to, engine, 0), "all of it can go")


def kept_to(engine: Connected, bound: int) -> bool:
    """Prunes; whether no more is left than that."""
    cache.prune(engine, bound)
    return cached(engine) <= bound


def cached(engine: Connected) -> int:
    """Bytes of build cache."""
    return sum(record["Size"] for record in cast("Any", engine.client).df()["BuildCache"] or ())
