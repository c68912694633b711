"""Processes as they are seen from outside: the same from this machine as from beside, whatever they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine.running import look
from grader.engine.running.app import App, Options
from grader.engine.running.processes import Beside, Local, Process
from grader.engine.running.run import Finished
from grader.engine.sandbox import Sandbox
from grader.errors import EngineError
from grader.tests.engine.building import Workshop, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.running.run import Command

IMAGE = "python:3.11-slim"
SERVER = r"""
import ctypes, http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hi")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler)
ctypes.CDLL(None).prctl(15, b"init (1) S\n", 0, 0, 0)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
if os.fork() == 0:
    server.socket.close()
    if os.fork() == 0: os._exit(0)  # stays a zombie
    time.sleep(1000)
server.serve_forever()
"""
DOCKERFILE = f'FROM {IMAGE}\nCOPY s.py /\nUSER www-data\nCMD ["python3", "/s.py"]\n'


@pytest.fixture(params=[Local, Beside])
def app(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[App]:
    if request.param is Local and not workshop.engine.local:
        pytest.skip("takes root on the engine's machine")
    box = Sandbox(
        replace(workshop.engine, local=request.param is Local), workshop.run.labels, ["debian:bookworm-slim", IMAGE]
    )
    app = box.start(workshop.image(DOCKERFILE, {"s.py": SERVER}).id, Options(5000))
    assert isinstance(app.view, request.param)
    yield app
    box.close()


def test_what_the_kernel_tells_is_believed_and_nothing_else(app: App) -> None:
    assert eventually(lambda: len(app.processes()) == 2)
    first, child = app.processes()
    assert (first.pid, first.parent, child.parent) == (1, 0, 1)
    assert first.users == child.users == (33, 33, 33)
    assert first.program == child.program == "/usr/local/bin/python3.11"
    assert first.args == ("python3", "/s.py")
    assert first.name.startswith("init (1) S")
    assert [*first.ports] == [5000]
    assert not child.ports
    assert {signal.SIGTERM, signal.SIGUSR2} <= first.handles
    assert signal.SIGHUP not in first.handles
    assert not first.shell


def test_what_was_run_from_outside_can_be_told_apart_and_ended(app: App) -> None:
    done = app.run(["sh", "-c", "trap '' TERM; sleep 654 & sleep 654"], within=0.5)
    assert done.exit_code is None
    assert eventually(lambda: len(app.processes()) == 2)
    assert app.ask("GET", "/").body == b"hi"


def test_a_frozen_app_keeps_its_port_and_answers_when_it_goes_on(app: App) -> None:
    app.freeze()
    assert app.ask("GET", "/", within=0.5).kind == "timeout"
    assert app.run(["echo", "still here"]).stdout == b"still here\n"
    app.thaw()
    assert app.ask("GET", "/").body == b"hi"


def test_every_process_is_frozen(app: App) -> None:
    app.freeze()
    seen = app.run(["sh", "-c", "grep -h State /proc/1/status /proc/[2-9]/status"]).stdout.decode()
    assert seen.count("T (stopped)") >= 2
    app.thaw()
    seen = app.run(["sh", "-c", "grep -h State /proc/1/status /proc/[2-9]/status"]).stdout.decode()
    assert "T (stopped)" not in seen


def test_where_no_base_image_has_a_python_nothing_is_seen_and_nothing_is_held_against_it(workshop: Workshop) -> None:
    box = Sandbox(replace(workshop.engine, local=False), workshop.run.labels, [])
    app = box.start(workshop.image(DOCKERFILE, {"s.py": SERVER}).id, Options(5000))
    with pytest.raises(EngineError, match="no base image has a Python"):
        app.processes()
    assert app.run(["sleep", "600"], within=0.3).exit_code is None
    box.close()


@pytest.mark.parametrize("said", [b"", b"Traceback", b"[]", b'[{"pid": 7, "parent": 0}]'])
def test_who_sees_no_first_process_sees_nothing(said: bytes) -> None:
    def run(_command: Command) -> Finished:
        return Finished(0, said)

    with pytest.raises(EngineError):
        Beside(run).processes()


# --- /proc ----------------------------------------------------------------------------------------------------------

STATUS = """\
Name:\t{name}
State:\tS (sleeping)
PPid:\t3
Uid:\t100000\t101000\t100000\t100000
NSpid:\t77\t1
SigBlk:\t0000000000000002
SigCgt:\t0000000000004001
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """The folder of a process in a user namespace of its own."""
    folder = tmp_path / "77"
    (folder / "fd").mkdir(parents=True)
    (folder / "net").mkdir()
    (folder / "status").write_text(STATUS.format(name="x"))
    (folder / "uid_map").write_text("         0     100000      65536\n")
    (folder / "cmdline").write_bytes(b"python\0\xff\0")
    (folder / "exe").symlink_to("/usr/bin/python3.11 (deleted)")
    (folder / "net/tcp").write_text(
        "head\n 0: 0100007F:1388 00000000:0000 0A 0:0 00:0 0 0 0 4711 1\n"
        " 1: 0100007F:0050 0:0 01 0:0 00:0 0 0 0 4712 1\n"
    )
    (folder / "fd/3").symlink_to("socket:[4711]")
    (folder / "fd/4").symlink_to("socket:[4712]")
    return folder


def test_a_process_is_read_as_the_container_counts(proc: Path) -> None:
    (found,) = look.processes([77], str(proc.parent))
    assert (found["pid"], found["host_pid"], found["parent"], found["users"]) == (1, 77, 3, [0, 1000, 0])
    assert (found["exe"], found["args"]) == ("/usr/bin/python3.11", ["python", "\ufffd"])
    assert (sorted(found["handles"]), found["ports"], found["state"]) == ([1, 2, 15], [5000], "S")


@pytest.mark.parametrize(("change", "left"), [("gone", 0), ("zombie", 0), ("none", 1)])
def test_what_has_ended_is_left_out(proc: Path, change: str, left: int) -> None:
    if change == "gone":
        (proc / "uid_map").unlink()
    if change == "zombie":
        (proc / "status").write_text(STATUS.format(name="x").replace("S (sl", "Z (sl"))
    assert len(look.processes([77, 78], str(proc.parent))) == left


def test_a_process_that_may_not_be_looked_at_is_not_left_out(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "readlink", forbidden)
    with pytest.raises(PermissionError):
        look.processes([77], str(proc.parent))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc")
@pytest.mark.parametrize(
    ("program", "shell"), [("/bin/sh", True), ("/bin/bash", True), (sys.executable, False), ("/bin/ls", False)]
)
def test_a_shell_is_known_by_what_is_in_it(program: str, *, shell: bool) -> None:
    assert look._is_shell(Path(program)) is shell


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc")
def test_only_what_does_not_descend_from_the_first_is_ended() -> None:
    started = [subprocess.Popen(["sleep", "100"]) for _ in range(4)]
    first, child, stranger, grandchild = (one.pid for one in started)
    ended = [
        {"pid": 1, "host_pid": first, "parent": 0},
        {"pid": 2, "host_pid": child, "parent": first},
        {"pid": 3, "host_pid": grandchild, "parent": child},
        {"pid": 9, "host_pid": stranger, "parent": os.getpid()},
    ]
    look.end(lambda: ended)
    assert started[2].wait(10) == -signal.SIGKILL
    assert [one.poll() for one in started if one.pid != stranger] == [None] * 3
    for one in started:
        one.kill()
        one.wait()


def test_our_own_machine_shows_its_processes() -> None:
    if sys.platform != "linux":
        pytest.skip("Linux has /proc")
    (own,) = look.processes([os.getpid()])
    assert own["host_pid"] == os.getpid()
    assert os.getpid() in look.numbers()
    assert isinstance(Process(**_as_process(own)), Process)


def _as_process(told: dict[str, Any]) -> dict[str, Any]:
    names = {"pid", "parent", "users", "args", "name", "handles", "ports", "shell"}
    return {name: told[name] for name in names} | {"program": told["exe"]}
