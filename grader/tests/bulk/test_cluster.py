"""A class on a cluster: a scheduler and workers that are processes of their own, each with an engine of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
import yaml

import grader
from grader.bulk import remote
from grader.bulk.pool import Bounds
from grader.engine import private
from grader.engine.embedded.bridge import SUBNETS
from grader.engine.leftovers import RUN
from grader.result import silent
from grader.tests.bulk.test_class import RUBRIC, arguments, classroom, rows, verdicts
from grader.tests.cli.programs import PLAIN, course, run, start, until
from grader.tests.conftest import write_files
from grader.tests.engine import own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

BASE = "debian:bookworm-slim"
QUICK = f"FROM {BASE}\n"
CLASS = 60
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@contextmanager
def engine_of_its_own(engine: Engine, folder: Path, bridge: str) -> Iterator[str]:
    """A private engine with one small base image, the same in all of them; where it answers."""
    # Whoever tests beside us may have taken all of the usual subnets.
    subnets = (*SUBNETS, "10.214.16.0/20", "10.214.64.0/20")
    home = private.Home(folder / "run", folder / "data", bridge, subnets)
    try:
        endpoint = private.start(silent, home)
        new = docker.APIClient(base_url=endpoint, version="1.41")
        own.copy(engine, new, (BASE,))
        new.close()
        yield endpoint
    finally:
        private.stop(home)


@contextmanager
def program(module: str, *options: str, log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of Dask's own programs, until the end of the block."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *options]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=PLAIN | env) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def below(parent: int) -> list[int]:
    """The processes that grade below this one: those that multiprocessing has started for work."""
    found: dict[int, tuple[int, bytes]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
            found[int(entry.name)] = (int(stat.rpartition(")")[2].split()[1]), (entry / "cmdline").read_bytes())
        except OSError:
            continue
    children = [pid for pid, (above, _) in found.items() if above == parent]
    deeper = [pid for child in children for pid in below(child)]
    return [pid for pid in children if b"spawn_main" in found[pid][1]] + deeper


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: those of sockets below it may have some hundred letters."""
    with tempfile.TemporaryDirectory(prefix="gc-") as folder:
        yield Path(folder)


@linux
def test_a_worker_is_killed_and_nobody_is_lost_or_graded_twice(engine: Engine, short: Path, tmp_path: Path) -> None:
    if not private.available():
        pytest.skip("takes Linux, root and dockerd")
    exercises, _ = course(tmp_path, RUBRIC.replace("path: /made, text: right", "path: /etc/debian_version"), QUICK)
    for number in range(CLASS):
        write_files(tmp_path / f"in/l{number:02}", {"Dockerfile": f"{QUICK}LABEL number={number}\n"})
    out, scheduler = tmp_path / "out", tmp_path / "scheduler.json"
    with ExitStack() as stack:
        bridge = f"gc{os.getpid() % 10**7}"
        engines = [stack.enter_context(engine_of_its_own(engine, short / name, bridge + name)) for name in "ab"]
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(scheduler))
        stack.enter_context(program("dask_scheduler", *options, log=tmp_path / "scheduler.log"))
        options = ("--scheduler-file", str(scheduler), "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
        nannies = [
            stack.enter_context(
                program("dask_worker", *options, "--name", name, log=tmp_path / f"{name}.log", DOCKER_HOST=endpoint)
            )
            for name, endpoint in zip(("one", "two"), engines, strict=True)
        ]
        until(
            lambda: all("Registered to" in (tmp_path / f"{n}.log").read_text() for n in ("one", "two")), "two workers"
        )
        address = json.loads(scheduler.read_text())["address"]
        process = start("grader", *arguments(exercises, tmp_path / "in", out, "--cluster", address))
        until(lambda: verdicts(out) >= CLASS // 2 or process.poll() is not None, "half of them are graded")
        (victim,) = below(nannies[0].pid)
        os.kill(victim, signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        clients = [docker.APIClient(base_url=endpoint, version="1.41") for endpoint in engines]
        built = [len(client.df()["BuildCache"] or ()) for client in clients]
        for client in clients:
            client.close()
    assert "worker one (tcp://127.0.0.1:" in said
    assert "is gone; what it was at is graded elsewhere" in said
    told = [line.split()[1] for line in said.splitlines() if line.startswith("passed")]
    assert sorted(told) == [f"l{number:02}" for number in range(CLASS)], said
    assert verdicts(out) == CLASS
    assert {row["status"] for row in rows(out).values()} == {"passed"}
    assert min(built) > CLASS // 10, "both have graded"


def left(engine: Engine) -> set[str]:
    """Containers and images of gradings that the engine has."""
    only = {"label": RUN}
    containers, images = engine.client.containers(all=True, filters=only), engine.client.images(filters=only)
    return {one["Id"] for one in (*containers, *images)}


@linux
def test_the_only_worker_is_killed_and_replaced(engine: Engine, tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path, size=13)
    before = left(engine)
    out = tmp_path / "out"
    process = start("grader", *arguments(exercises, place, out, "--cluster", "local:1"))
    until(lambda: verdicts(out) >= 4 or process.poll() is not None, "some are graded")
    (victim,) = below(process.pid)
    os.kill(victim, signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count(" grades\n") == 2, said
    found = {name: (row["status"], row["score"]) for name, row in rows(out).items()}
    assert found.pop("wrong") == ("failed", "10")
    assert (found.pop("empty"), found.pop("broken")) == (("failed", "0"), ("failed", "0"))
    assert set(found.values()) == {("passed", "20")}
    # The same as without a cluster, and nothing to be graded again.
    again = run("grader", *arguments(exercises, place, out))
    assert "0 submissions to grade; 10 have a verdict already" in again.stderr
    until(lambda: left(engine) <= before, "what the worker was at when it was killed is removed")


@pytest.mark.parametrize(
    ("address", "code", "what", "fix"),
    [
        ("here", 2, "This is no address of a Dask scheduler: here", "tcp://HOST:8786, tls://HOST:8786, or local:2"),
        ("http://127.0.0.1:8786", 2, "This is no address of a Dask scheduler", "tcp://HOST:8786"),
        ("tcp://127.0.0.1", 2, "This is no address of a Dask scheduler", "tcp://HOST:8786"),
        ("tls://127.0.0.1:1", 2, "no certificates were named", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
    ],
)
def test_an_address_that_is_none(tmp_path: Path, address: str, code: int, what: str, fix: str) -> None:
    exercises, place = classroom(tmp_path)
    done = run("grader", *arguments(exercises, place, tmp_path / "out", "--cluster", address))
    assert done.returncode == code
    assert what in done.stderr
    assert fix in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_dask_it_says_what_to_install(tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path)
    hidden = "import sys; sys.modules['distributed'] = None; from grader.cli import main; main()"
    command = [sys.executable, "-c", hidden, *arguments(exercises, place, tmp_path / "out", "--cluster", "local")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=PLAIN)
    assert done.returncode == 2
    assert "A cluster takes Dask, and distributed is not installed" in done.stderr
    assert "pip install 'image-grader[cluster]'" in done.stderr


def test_dask_is_imported_for_a_cluster_alone() -> None:
    program = "import sys, grader.cli, grader.cli.bulk, grader.bulk.run; print([n for n in sys.modules if 'dask' in n])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- what travels -----------------------------------------------------------------------------------------------------


def test_an_exercise_travels_whole(tmp_path: Path) -> None:
    course(tmp_path, RUBRIC, QUICK)
    folder = tmp_path / "exercises/01-tiny"
    write_files(folder, {"tests/check.sh": "#!/bin/sh\n"})
    (folder / "tests/check.sh").chmod(0o755)
    work = remote.pack(folder, (BASE,), Bounds())
    remote.unpack(work.files, tmp_path / "there/01-tiny")
    assert remote.pack(tmp_path / "there/01-tiny", (BASE,), Bounds()) == work
    (folder / "tests/check.sh").chmod(0o644)
    assert remote.pack(folder, (BASE,), Bounds()).digest != work.digest


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a\\b", "c:d", "a/../../b"])
def test_a_name_that_leads_elsewhere_is_not_written(name: str) -> None:
    assert not remote._is_plain(name)
    assert remote._is_plain("notes/todo list.txt")


def test_the_files_to_copy_name_this_version() -> None:
    folder = Path(grader.__file__).parent / "bulk/clusters"
    assert sorted(path.name for path in folder.glob("*.*")) == ["kubernetes.yaml", "slurm.py", "ssh.py"]
    text = (folder / "kubernetes.yaml").read_text()
    cluster, _policy = yaml.safe_load_all(text)
    containers = [kind["spec"]["containers"][0] for kind in (cluster["spec"]["worker"], cluster["spec"]["scheduler"])]
    assert {container["image"].rpartition(":")[2] for container in containers} == {grader.__version__}
    assert f"image-grader[cluster]=={grader.__version__}" in text
