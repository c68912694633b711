"""The dockerd of the private engine: how it is started, found again, asked whether it is there, and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine.embedded import bridge
from grader.engine.install import find
from grader.errors import EngineError

if TYPE_CHECKING:
    from grader.engine.embedded.home import Home

# dockerd comes up in about 2 s; on a slow disk, or with many containers to clean up after, it takes longer.
_START_LIMIT = 90.0
# It gives its containers 15 s to end.
_STOP_LIMIT = 45.0
# What of the machine's own configuration holds for our engine too: how to reach registries, and other runtimes.
_SHARED_SETTINGS = ("registry-mirrors", "insecure-registries", "dns", "dns-opts", "dns-search", "proxies", "runtimes")


def launch(home: Home, cache: int | None) -> subprocess.Popen[bytes]:
    """Start dockerd as a session of its own, which no Ctrl-C of ours reaches; ``cache`` is in bytes."""
    config = home.run / "daemon.json"
    config.write_text(json.dumps(_settings() | _collection(cache)), encoding="utf-8")
    command = [
        find("dockerd") or "dockerd",
        f"--config-file={config}",
        f"--host={home.endpoint}",
        "--group=0",
        f"--data-root={home.data}",
        f"--exec-root={home.exec_root}",
        f"--pidfile={home.pid_file}",
        f"--bridge={home.bridge}",
        f"--mtu={bridge.mtu()}",
        # Under one group of ours, by files that we can write to as well: see `cgroup`.
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent=/{home.cgroup}",
        # The rules are `bridge`'s: dockerd's own would replace those of the machine's other engines.
        "--iptables=false",
        # A port that is published is this machine's own business.
        "--ip=127.0.0.1",
        "--log-level=warn",
    ]
    # Not what tells a service of systemd's about itself; and root's programs, that dockerd calls, on PATH.
    environment = {name: value for name, value in os.environ.items() if name not in {"NOTIFY_SOCKET", "LISTEN_FDS"}}
    theirs = os.environ.get("PATH", os.defpath)
    environment["PATH"] = os.pathsep.join([str(home.programs), theirs, "/usr/local/sbin", "/usr/sbin", "/sbin"])
    with home.log.open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment, start_new_session=True
        )


def _settings() -> dict[str, object]:
    """The configuration file: what the machine's own says of registries, names, runtimes, and nothing else of it."""
    try:
        machine = json.loads(Path("/etc/docker/daemon.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: machine[key] for key in _SHARED_SETTINGS if key in machine} if isinstance(machine, dict) else {}


def _collection(cache: int | None) -> dict[str, object]:
    """What BuildKit is to keep of its cache: Engine 20.10 knows the first name, Engine 28 wants both."""
    if cache is None:
        return {}
    size = f"{cache}B"
    return {"builder": {"gc": {"enabled": True, "defaultKeepStorage": size, "defaultMaxUsedSpace": size}}}


def wait_until_it_answers(home: Home, process: subprocess.Popen[bytes] | None) -> None:
    """Raises EngineError with the last lines of its log when it ends before that, or takes too long."""
    deadline = time.monotonic() + _START_LIMIT
    while not answers(home):
        ended = process.poll() if process is not None else None
        if ended is None and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        if process is not None:
            _give_up(process)
        how = f"ended with exit code {ended}" if ended is not None else f"did not answer within {_START_LIMIT:.0f} s"
        raise EngineError(
            f"The grader's own engine {how}.",
            "Its log says why; `grader engine stop` clears what is left of it before the next try.",
            where=str(home.log),
            log=last_lines(home.log),
        )


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """End a dockerd that did not come up."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_lines(path: Path, count: int = 15) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    return ()


def remove_stale(home: Home) -> None:
    """Remove what a killed engine, or one from before a reboot, left: dockerd takes any living pid for its own.

    A containerd without its dockerd is about to end too; a new dockerd would wait for it in vain.
    """
    end_orphans(home)
    for path in (home.exec_root / "containerd/containerd.pid", home.pid_file, home.socket):
        path.unlink(missing_ok=True)


# --- asking ------------------------------------------------------------------------------------------------------


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def answers(home: Home) -> bool:
    connection = _UnixConnection(home.socket)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def pid_of(home: Home) -> int | None:
    """Our dockerd's process id, None when the pid file is stale: the number may be another process's by now."""
    pid = _read_pid(home.pid_file)
    return pid if pid is not None and pid in processes(home) else None


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def processes(home: Home) -> list[int]:
    """Every living process whose command line names our runtime folder: dockerd, its containerd, shims, other runtimes.

    Those of a machine within this one (a container with an engine in it) may name the same folder, and are not ours.
    """
    mark = os.fsencode(f"{home.exec_root}")
    here = Path("/proc/self/ns/pid").readlink()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "ns/pid").readlink() != here:
                continue
            program, *arguments = (entry / "cmdline").read_bytes().split(b"\0")
            ours = any(argument.partition(b"=")[2] == mark or mark + b"/" in argument for argument in arguments)
            engine = os.path.basename(program).startswith((b"dockerd", b"containerd", b"runsc"))  # noqa: PTH119 - bytes
            if ours and engine:
                found.append(int(entry.name))
    return found


# --- ending ------------------------------------------------------------------------------------------------------


def end(pid: int, home: Home) -> None:
    """Ask dockerd to end, which ends its containers and its containerd, and insist when it does not."""
    _kill(pid, signal.SIGTERM)
    if not wait_until_gone(home, _STOP_LIMIT, pid):
        _kill(pid, signal.SIGKILL)
        if not wait_until_gone(home, 5.0, pid):
            raise EngineError(
                "The grader's own engine cannot be stopped.",
                f"See what process {pid} hangs on (often a disk), and end it.",
                where=str(home.log),
                log=last_lines(home.log),
            )


def end_orphans(home: Home) -> None:
    """End containerd and what supervises containers, which a dockerd that was killed could not end."""
    for left in processes(home):
        _kill(left, signal.SIGKILL)
    wait_until_gone(home, 10.0)


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until_gone(home: Home, limit: float, pid: int | None = None) -> bool:
    """Wait until a process, or all of our engine's, are gone; False when ``limit`` seconds were not enough."""
    deadline = time.monotonic() + limit
    while True:
        left = processes(home)
        if pid is not None:
            # Our own child stays a zombie, without a command line, until it is asked for.
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if (pid is None and not left) or (pid is not None and pid not in left):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
