"""Where limits of builds are written, on both versions of the kernel's control groups; how they work: test_bounds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from grader.engine.embedded import cgroup
from grader.engine.embedded.cgroup import Bounds, bound, group_of_steps

BOUNDS = Bounds(memory=(1_000_000_000, 3_000_000_000), processes=(100, 1000))
pytestmark = pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="Linux's")


@pytest.fixture(autouse=True)
def _there_is_a_runc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "find", lambda _: "/bin/true")


def files(folder: Path, *names: str) -> None:
    """The kernel's files of a group; it makes them, here nobody would."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("")


def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n" + "".join(f"{line} 0 0\n" for line in lines))
    monkeypatch.setattr(cgroup, "_MOUNTS", tmp_path / "mounts")


def version_2(root: Path, controllers: str, *, swap: bool = True) -> None:
    files(root, "cgroup.subtree_control")
    (root / "cgroup.controllers").write_text(controllers)
    files(root / "g", "cgroup.subtree_control")
    files(root / "g/buildkit", "memory.max", "pids.max", "cpu.weight", *(["memory.swap.max"] if swap else []))


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "cgroup"
    version_2(root, "cpuset cpu io memory pids")
    mounts(tmp_path, monkeypatch, f"cgroup2 {root} cgroup2 rw,nsdelegate")
    assert bound("g", BOUNDS, tmp_path / "bin") == ""
    steps = root / "g/buildkit"
    assert group_of_steps("memory", "g") == steps
    told = {path.name: path.read_text() for path in steps.iterdir()}
    assert told == {"memory.max": "3000000000", "memory.swap.max": "0", "pids.max": "1000", "cpu.weight": "50"}
    assert (root / "cgroup.subtree_control").read_text() == "+cpu"
    assert (root / "g/cgroup.subtree_control").read_text() == "+cpu"


def test_version_1_beside_a_version_2_that_has_no_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_2(tmp_path / "unified", "")
    lines = [f"cgroup {tmp_path / name} cgroup rw,{name}" for name in ("memory", "pids", "cpu")]
    files(tmp_path / "memory/g/buildkit", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    mounts(tmp_path, monkeypatch, f"cgroup2 {tmp_path / 'unified'} cgroup2 rw", *lines)
    assert bound("g", BOUNDS, tmp_path / "bin") == ""
    told = {path.name: path.read_text() for path in (tmp_path / "memory/g/buildkit").iterdir()}
    assert told == {"memory.limit_in_bytes": "3000000000", "memory.memsw.limit_in_bytes": "3000000000"}
    assert (tmp_path / "pids/g/buildkit/pids.max").read_text() == "1000"


@pytest.mark.parametrize(("controllers", "lacking"), [("cpu pids", "memory"), ("memory", "processes"), ("", "memory")])
def test_a_kernel_without_a_controller_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: str, lacking: str
) -> None:
    version_2(tmp_path / "cgroup", controllers)
    mounts(tmp_path, monkeypatch, f"cgroup2 {tmp_path / 'cgroup'} cgroup2 rw")
    assert bound("g", BOUNDS, tmp_path / "bin") == f"the kernel has no control groups for {lacking}"
    assert not (tmp_path / "bin").exists()


def test_groups_that_may_not_be_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_2(tmp_path / "cgroup", "memory pids")
    (tmp_path / "cgroup/cgroup.subtree_control").unlink()
    (tmp_path / "cgroup/cgroup.subtree_control").mkdir()
    mounts(tmp_path, monkeypatch, f"cgroup2 {tmp_path / 'cgroup'} cgroup2 rw")
    assert bound("g", BOUNDS, tmp_path / "bin").startswith("the kernel's control groups cannot be used: ")


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("linux", ['{"resources":{"devices":[]},"namespaces":[]}', '{"namespaces":[]}'])
def test_a_step_gets_its_limits_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linux: str, *, swap: bool
) -> None:
    version_2(tmp_path / "cgroup", "memory pids", swap=swap)
    mounts(tmp_path, monkeypatch, f"cgroup2 {tmp_path / 'cgroup'} cgroup2 rw")
    assert bound("g", BOUNDS, tmp_path / "bin") == ""
    # What a learner wrote looks like it, but for its quotes.
    args = json.dumps(['"linux":{', '{"linux":{"resources":{'])
    whole = f'{{"process":{{"args":{args}}},"linux":{linux}}}\n'
    (tmp_path / "config.json").write_text(whole)
    runc = str(tmp_path / "bin/runc")
    for command in (["create", "--bundle", str(tmp_path), "x"], ["delete", "run"], ["--version"]):
        subprocess.run([runc, *command], check=True)
        assert (tmp_path / "config.json").read_text() == whole
    subprocess.run([runc, "--log", "l", "run", "--bundle", str(tmp_path), "x"], check=True)
    config = json.loads((tmp_path / "config.json").read_text())
    memory = {"limit": 1_000_000_000} | ({"swap": 1_000_000_000} if swap else {})
    expected = json.loads(whole)
    expected["linux"].setdefault("resources", {}).update({"memory": memory, "pids": {"limit": 100}})
    assert config == expected


def test_a_group_is_removed_with_those_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pids/g/buildkit/x").mkdir(parents=True)
    (tmp_path / "pids/other").mkdir()
    mounts(tmp_path, monkeypatch, f"cgroup {tmp_path / 'pids'} cgroup rw,pids")
    cgroup.remove("g")
    assert [path.name for path in (tmp_path / "pids").iterdir()] == ["other"]
