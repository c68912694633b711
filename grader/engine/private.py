"""The embedded engine: a dockerd of our own, for machines where Docker is installed and none runs.

It has its own socket, data, runtime folder and bridge, so that it disturbs no other engine, and is reached by root
alone, never over TCP. It outlives the command that started it, and its data (images, build cache) outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine import bridge
from grader.engine.bridge import SUBNETS
from grader.engine.install import find
from grader.errors import EngineError
from grader.result import ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.result import Progress

# dockerd comes up in about 2 s; on a slow disk, or with many containers to clean up after, it takes longer.
_START_LIMIT = 90.0
# It gives its containers 15 s to end.
_STOP_LIMIT = 45.0
# What of the machine's own configuration says how to reach registries, and hence holds for our engine too.
_SHARED_SETTINGS = ("registry-mirrors", "insecure-registries", "dns", "dns-opts", "dns-search", "proxies")


@dataclass(frozen=True)
class Home:
    """Where the engine lives. ``run`` is lost with a reboot, ``data`` stays; ``bridge`` is its network interface."""

    run: Path = Path("/run/grader")
    data: Path = Path("/var/lib/grader/engine")
    bridge: str = "grader0"
    subnets: tuple[str, ...] = SUBNETS

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.run / "docker.sock"

    @property
    def exec_root(self) -> Path:
        """Its runtime state; being on its command line, it also tells our dockerd from others."""
        return self.run / "exec"

    @property
    def pid_file(self) -> Path:
        """Holds its process id."""
        return self.run / "dockerd.pid"

    @property
    def log(self) -> Path:
        """What it printed since it was started."""
        return self.data.parent / f"{self.data.name}.log"


HOME = Home()


@dataclass(frozen=True)
class EngineStatus:
    """How the private engine is; ``pid`` is None when it does not run."""

    running: bool
    pid: int | None
    endpoint: str
    data: Path
    log: Path


def endpoint(home: Home = HOME) -> str:
    """Where the private engine answers when it runs, in the form of DOCKER_HOST."""
    return f"unix://{home.socket}"


def available() -> bool:
    """Whether this machine and user can run the private engine: root, on Linux, with dockerd."""
    return sys.platform == "linux" and os.geteuid() == 0 and find("dockerd") is not None


def running(home: Home = HOME) -> bool:
    """Whether the private engine answers; costs about a millisecond."""
    return home.socket.exists() and _answers(home)


def status(home: Home = HOME) -> EngineStatus:
    """How the private engine is, without starting it."""
    return EngineStatus(running(home), _pid(home), endpoint(home), home.data, home.log)


def start(progress: Progress, home: Home = HOME) -> str:
    """Start the private engine unless it runs; returns its endpoint.

    Safe when two processes start it at once. Raises EngineError with the last lines of its log.
    """
    if running(home):
        return endpoint(home)
    if not available():
        raise EngineError(
            "The private engine cannot run here.",
            "It takes Linux, root and Docker's package: run `grader engine install` as root.",
            where="dockerd",
        )
    started = time.monotonic()
    with _locked(home):
        if not running(home):
            progress(ProgressEvent("engine", "starting the grader's own engine", detail=True))
            _start(home)
            progress(ProgressEvent("engine", f"started the grader's own engine, {time.monotonic() - started:.1f} s"))
    return endpoint(home)


def stop(home: Home = HOME) -> bool:
    """Stop the private engine and remove its bridge; its data stays. Returns whether it ran.

    Raises EngineError when it cannot be stopped.
    """
    if sys.platform != "linux" or not home.run.exists():
        return False
    with _locked(home):
        pid = _pid(home)
        if pid is not None:
            _end(pid, home)
        _end_orphans(home)
        _unmount(home)
        bridge.remove(home.bridge)
        home.socket.unlink(missing_ok=True)
        home.pid_file.unlink(missing_ok=True)
    return pid is not None


# --- starting ----------------------------------------------------------------------------------------------------


def _start(home: Home) -> None:
    """Start dockerd and wait until it answers; the lock is held."""
    process = None
    if _pid(home) is None:
        _remove_stale(home)
        bridge.ensure(home.bridge, home.subnets)
        process = _launch(home)
    try:
        _wait_until_it_answers(home, process)
    finally:
        if process is not None and process.poll() is None:
            # It is meant to outlive us: Python would warn of a child left behind.
            process.returncode = 0


def _launch(home: Home) -> subprocess.Popen[bytes]:
    """Start dockerd as a session of its own, which no Ctrl-C of ours reaches."""
    for folder, mode in ((home.data.parent, 0o755), (home.data, 0o711), (home.run, 0o755)):
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
    config = home.run / "daemon.json"
    config.write_text(json.dumps(_settings()), encoding="utf-8")
    command = [
        find("dockerd") or "dockerd",
        f"--config-file={config}",
        f"--host={endpoint(home)}",
        "--group=0",
        f"--data-root={home.data}",
        f"--exec-root={home.exec_root}",
        f"--pidfile={home.pid_file}",
        f"--bridge={home.bridge}",
        f"--mtu={bridge.mtu()}",
        # The rules are `bridge`'s: dockerd's own would replace those of the machine's other engines.
        "--iptables=false",
        # A port that is published is this machine's own business.
        "--ip=127.0.0.1",
        "--log-level=warn",
    ]
    # Not what tells a service of systemd's about itself; and root's programs, that dockerd calls, on PATH.
    environment = {name: value for name, value in os.environ.items() if name not in {"NOTIFY_SOCKET", "LISTEN_FDS"}}
    environment["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    with home.log.open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment, start_new_session=True
        )


def _settings() -> dict[str, object]:
    """The configuration file: what the machine's own says of registries and names, and nothing else of it."""
    try:
        machine = json.loads(Path("/etc/docker/daemon.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: machine[key] for key in _SHARED_SETTINGS if key in machine} if isinstance(machine, dict) else {}


def _wait_until_it_answers(home: Home, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not _answers(home):
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
            log=_last_lines(home.log),
        )


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """End a dockerd that did not come up."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(path: Path, count: int = 15) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
    return ()


def _remove_stale(home: Home) -> None:
    """Remove what a killed engine, or one from before a reboot, left: dockerd takes any living pid for its own.

    A containerd without its dockerd is about to end too; a new dockerd would wait for it in vain.
    """
    _end_orphans(home)
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


def _answers(home: Home) -> bool:
    connection = _UnixConnection(home.socket)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _pid(home: Home) -> int | None:
    """Our dockerd's process id, None when the pid file is stale: the number may be another process's by now."""
    pid = _read_pid(home.pid_file)
    return pid if pid in _processes(home) else None


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _processes(home: Home) -> list[int]:
    """Every living process whose command line names our runtime folder: dockerd, its containerd, their shims.

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
            engine = os.path.basename(program).startswith((b"dockerd", b"containerd"))  # noqa: PTH119 - bytes
            if ours and engine:
                found.append(int(entry.name))
    return found


# --- ending ------------------------------------------------------------------------------------------------------


def _end(pid: int, home: Home) -> None:
    """Ask dockerd to end, which ends its containers and its containerd, and insist when it does not."""
    _kill(pid, signal.SIGTERM)
    if not _wait_until_gone(home, _STOP_LIMIT, pid):
        _kill(pid, signal.SIGKILL)
        if not _wait_until_gone(home, 5.0, pid):
            raise EngineError(
                "The grader's own engine cannot be stopped.",
                f"See what process {pid} hangs on (often a disk), and end it.",
                where=str(home.log),
                log=_last_lines(home.log),
            )


def _end_orphans(home: Home) -> None:
    """End containerd and what supervises containers, which a dockerd that was killed could not end."""
    for left in _processes(home):
        _kill(left, signal.SIGKILL)
    _wait_until_gone(home, 10.0)


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_until_gone(home: Home, limit: float, pid: int | None = None) -> bool:
    """Wait until a process, or all of our engine's, are gone; False when ``limit`` seconds were not enough."""
    deadline = time.monotonic() + limit
    while True:
        left = _processes(home)
        if pid is not None:
            # Our own child stays a zombie, without a command line, until it is asked for.
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if (pid is None and not left) or (pid is not None and pid not in left):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def _unmount(home: Home) -> None:
    """Unmount what a killed engine left mounted in its folders, the deepest first."""
    try:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    ours = [mount for mount in mounts if f"{mount}/".startswith((f"{home.exec_root}/", f"{home.data}/"))]
    for mount in sorted(ours, reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Hold the lock on starting and stopping; who waits for it waits for the other's start, which has a limit."""
    import fcntl  # noqa: PLC0415 - Windows has none, and imports this module

    home.run.mkdir(parents=True, exist_ok=True)
    with (home.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
