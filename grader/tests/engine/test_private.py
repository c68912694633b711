"""The private engine: a real dockerd, started and stopped in a place of its own, beside whatever else runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from grader.engine import private
from grader.engine.embedded import bridge
from grader.engine.embedded import dockerd as daemon
from grader.errors import EngineError, UsageError
from grader.result import ProgressEvent, silent
from grader.tests.conftest import BASES
from grader.tests.engine import own
from grader.tests.engine.registry import layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

needs_dockerd = pytest.mark.usefixtures("dockerd")


@pytest.fixture
def dockerd(request: pytest.FixtureRequest) -> None:
    """Asked when the test runs: on a bare machine it is the suite's own engine that brings dockerd."""
    if private.available():
        return
    request.getfixturevalue("engine")
    if not private.available():
        pytest.skip("takes Linux, root and dockerd")


@pytest.fixture
def home() -> Iterator[private.Home]:
    with own.home() as found:
        yield found


def devices() -> dict[str, int]:
    return bridge._devices()


def rules() -> str:
    """The firewall's rules, as text."""
    commands = [["iptables", "--wait", "--table", table, "--list-rules"] for table in ("filter", "nat")]
    return "".join(subprocess.run(c, capture_output=True, text=True, check=False).stdout for c in commands)


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def loops(home: private.Home) -> list[str]:
    return [
        line for line in subprocess.check_output(["losetup", "--all"], text=True).splitlines() if str(home.data) in line
    ]


def groups(home: private.Home) -> list[Path]:
    return list(Path("/sys/fs/cgroup").rglob(home.cgroup))


def client(home: private.Home) -> docker.APIClient:
    return docker.APIClient(base_url=private.endpoint(home), version="1.41")


@needs_dockerd
def test_it_starts_answers_and_stops(home: private.Home) -> None:
    events: list[ProgressEvent] = []
    assert not private.running(home)
    assert private.start(events.append, home) == f"unix://{home.run}/docker.sock"
    assert private.running(home)
    assert home.bridge in devices()
    assert any(event.phase == "engine" and not event.detail for event in events)
    status = private.status(home)
    assert status.running
    assert status.pid == int(home.pid_file.read_text())
    assert home.socket.stat().st_mode & 0o007 == 0
    assert private.stop(home)
    assert not private.running(home)
    assert private.status(home).pid is None
    assert home.bridge not in devices()
    assert daemon.processes(home) == []
    assert home.bridge not in rules()
    assert str(home.data) not in mounts()
    assert loops(home) == []
    assert groups(home) == []
    assert not private.stop(home)


@needs_dockerd
def test_the_rules_of_other_engines_stay_as_they_are(home: private.Home) -> None:
    before = rules().splitlines()
    private.start(silent, home)
    during = rules().splitlines()
    assert [rule for rule in during if home.bridge not in rule] == before
    assert [rule for rule in during if home.bridge in rule]
    private.stop(home)
    assert rules().splitlines() == before


@needs_dockerd
def test_what_it_holds_outlives_it(home: private.Home) -> None:
    private.start(silent, home)
    api = client(home)
    api.import_image_from_data(layer(), "localhost/kept", "1", [])
    api.close()
    private.stop(home)
    private.start(silent, home)
    api = client(home)
    assert [image["RepoTags"] for image in api.images()] == [["localhost/kept:1"]]
    api.close()


@needs_dockerd
def test_other_engines_are_left_alone(home: private.Home, engine: Engine) -> None:
    before = {name for name in devices() if name.startswith("docker")}
    # Others come and go.
    client_of_all: Any = engine.client
    images = {client_of_all.inspect_image(name)["Id"] for name in BASES}
    private.start(silent, home)
    assert {name for name in devices() if name.startswith("docker")} == before
    assert engine.client.ping()
    api = client(home)
    assert api.images() == []
    api.close()
    private.stop(home)
    assert {name for name in devices() if name.startswith("docker")} == before
    assert images <= {image["Id"] for image in engine.client.images()}


@needs_dockerd
def test_a_second_start_finds_the_first(home: private.Home) -> None:
    private.start(silent, home)
    pid = private.status(home).pid
    private.start(silent, home)
    assert private.status(home).pid == pid


@needs_dockerd
def test_two_starts_at_once_make_one_engine(home: private.Home) -> None:
    threads = [threading.Thread(target=private.start, args=(silent, home)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert private.running(home)
    assert len([pid for pid in daemon.processes(home) if "dockerd" in name(pid)]) == 1


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@needs_dockerd
def test_it_outlives_the_command_that_started_it(home: private.Home) -> None:
    program = (
        "import sys; from pathlib import Path; from grader.engine import private; from grader.result import silent;"
        "private.start(silent, private.Home(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(home.run), str(home.data), home.bridge]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert private.running(home)


@needs_dockerd
def test_it_starts_again_after_it_was_killed(home: private.Home) -> None:
    private.start(silent, home)
    first = private.status(home).pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert daemon.wait_until_gone(home, 10, first)
    assert home.pid_file.exists()
    assert not private.running(home)
    private.start(silent, home)
    assert private.running(home)
    assert private.status(home).pid != first
    private.stop(home)
    assert str(home.data) not in mounts()
    assert loops(home) == []
    assert groups(home) == []


@needs_dockerd
def test_a_stop_frees_what_an_engine_left_that_was_killed(home: private.Home) -> None:
    private.start(silent, home)
    killed = private.status(home).pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert daemon.wait_until_gone(home, 10, killed)
    assert not private.stop(home)
    assert daemon.processes(home) == []
    assert str(home.data) not in mounts()
    assert loops(home) == []
    assert groups(home) == []


@needs_dockerd
def test_the_way_out_stays_the_same_whoever_comes_and_goes(home: private.Home) -> None:
    def ip(*words: str) -> str:
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout

    def hardware() -> str:
        return str(json.loads(ip("-json", "link", "show", home.bridge))[0]["address"])

    port = f"{home.bridge}p"
    bridge.ensure(home.bridge, (*bridge.SUBNETS, "10.214.80.0/20"))
    try:
        before = hardware()
        ip("link", "add", port, "address", "00:00:00:00:00:01", "type", "veth", "peer", "name", f"{port}q")
        ip("link", "set", port, "master", home.bridge)
        assert hardware() == before
        ip("link", "delete", port)
        assert hardware() == before
    finally:
        subprocess.run(["ip", "link", "delete", port], capture_output=True, check=False)
        bridge.remove(home.bridge)


@needs_dockerd
@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_bridge_takes_along_what_hangs_on_it_and_its_rules(home: private.Home, *, gone: bool) -> None:
    cable = f"{home.bridge}p"
    bridge.ensure(home.bridge, (*bridge.SUBNETS, "10.214.80.0/20"))
    try:
        # As a dockerd that is killed leaves it: the container's end has not reached the container yet.
        subprocess.run(["ip", "link", "add", cable, "type", "veth", "peer", "name", f"{cable}q"], check=True)
        subprocess.run(["ip", "link", "set", cable, "master", home.bridge], check=True)
        if gone:
            subprocess.run(["ip", "link", "delete", home.bridge], check=True)
        bridge.remove(home.bridge)
        assert {home.bridge, *(() if gone else (cable, f"{cable}q"))} & devices().keys() == set()
        assert f" {home.bridge} " not in rules()
    finally:
        subprocess.run(["ip", "link", "delete", cable], capture_output=True, check=False)
        bridge.remove(home.bridge)


@needs_dockerd
def test_it_starts_again_when_its_bridge_is_gone(home: private.Home) -> None:
    private.start(silent, home)
    private.stop(home)
    assert home.bridge not in devices()
    private.start(silent, home)
    assert home.bridge in devices()


@needs_dockerd
def test_a_process_that_took_over_the_number_is_spared(home: private.Home) -> None:
    home.run.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        home.pid_file.write_text(str(other.pid))
        assert not private.stop(home)
        assert other.poll() is None
        home.pid_file.write_text(str(other.pid))
        private.start(silent, home)  # dockerd alone would take that process for another dockerd
        assert private.running(home)
        assert other.poll() is None
        other.kill()


@needs_dockerd
def test_a_start_that_fails_shows_the_log(home: private.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_settings", lambda: {"no-such-setting": True})
    with pytest.raises(EngineError) as caught:
        private.start(silent, home)
    assert "no-such-setting" in "\n".join(caught.value.log)
    assert caught.value.where == str(home.log)
    assert caught.value.fix


@needs_dockerd
def test_a_start_that_hangs_is_given_up(home: private.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_START_LIMIT", 0.3)
    monkeypatch.setattr(daemon, "answers", lambda _: False)
    with pytest.raises(EngineError, match="did not answer"):
        private.start(silent, home)
    assert daemon.processes(home) == []
    assert str(home.data) not in mounts()
    assert groups(home) == []


def test_it_says_what_it_takes(home: private.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "available", lambda: False)
    with pytest.raises(EngineError) as caught:
        private.start(silent, home)
    assert "grader engine install" in caught.value.fix


def test_a_folder_that_is_too_deep_for_a_socket_is_told_before_anything_is_made(tmp_path: Path) -> None:
    fits = private.Home(run=Path("/" + "r" * 68))
    fits.check()
    assert len(str(fits.exec_root / "containerd/containerd.sock.ttrpc")) == 107
    deep = private.Home(run=tmp_path / ("d" * 100), data=tmp_path / "data")
    with pytest.raises(UsageError, match="longer than a socket's path can be") as caught:
        deep.check()
    assert "shorter" in caught.value.fix


@needs_dockerd
def test_settings_are_remembered_and_said_to_be_pending(home: private.Home) -> None:
    private.start(silent, home, private.Limits(cache=1_000_000_000, disk=4_096_000_000))
    private.start(silent, home, private.Limits(processes=100))
    assert private.status(home).pending
    private.stop(home)
    private.start(silent, home)
    status = private.status(home)
    assert not status.pending
    assert status.standing is not None
    assert status.standing.asked == private.Limits(cache=1_000_000_000, disk=4_096_000_000, processes=100)
    assert status.standing.cache == 1_000_000_000
    assert json.loads((home.run / "daemon.json").read_text())["builder"]["gc"]["defaultKeepStorage"] == "1000000000B"
    api = client(home)
    where = Path(api.info()["DockerRootDir"])
    api.close()
    assert status.standing.disk is None or where.stat().st_dev != where.parent.stat().st_dev


@pytest.mark.parametrize(
    "asked", [{"memory": 1_000_000}, {"memory": 10**15}, {"processes": 1}, {"processes": 10**6}, {"disk": 1_000_000}]
)
def test_what_no_engine_can_keep_to_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        private.Limits(**asked).check()
    assert "Choose" in caught.value.fix


def test_a_subnet_that_a_route_leads_into_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "10.0.0.0/8", "dev": "tun0"}, {"dst": "172.17.0.1"}]
    monkeypatch.setattr(bridge, "_routes", lambda: routes)
    assert str(bridge._first_free(("10.213.0.0/20", "172.30.208.0/20"))) == "172.30.208.0/20"
    with pytest.raises(EngineError, match="subnet"):
        bridge._first_free(("10.213.0.0/20",))


@pytest.mark.parametrize(("size", "expected"), [(1400, 1400), (1500, 1500), (9000, 1500)])
def test_containers_send_no_larger_packets_than_the_machine(
    monkeypatch: pytest.MonkeyPatch, size: int, expected: int
) -> None:
    monkeypatch.setattr(bridge, "_routes", lambda: [{"dst": "default", "dev": "eth0"}])
    monkeypatch.setattr(bridge, "_devices", lambda: {"eth0": size, "lo": 65536, "tun0": 1280})
    assert bridge.mtu() == expected
