"""Installs an engine, and the tools that go with it, on Debian and Ubuntu, as root, with apt.

On a machine that an init system runs, the package starts its service, as it would for anybody. Anywhere else it starts
nothing: the private engine (``private.py``) is what runs then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import EngineError
from grader.result import ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.result import Progress

# What each package is installed for: a program, found on PATH or where root's programs are.
_PACKAGES = {"dockerd": "docker.io", "ip": "iproute2", "iptables": "iptables", "mmdebstrap": "mmdebstrap"}
_ENGINE = ("dockerd", "ip", "iptables", "mmdebstrap")
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
# Another apt may be at work for minutes (unattended upgrades); it is waited for that long, in seconds.
_LOCK_WAIT = 300
_POLICY = Path("/usr/sbin/policy-rc.d")  # asked by every package that would start a service
_LISTS = Path("/var/lib/apt/lists")


def supported() -> str | None:
    """None when an engine can be installed on this machine by us, else a sentence that says why not and what to do."""
    if sys.platform in {"darwin", "win32"}:
        return "Install Docker Desktop (https://docs.docker.com/desktop/) and start it."
    release = _os_release()
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if not sys.platform.startswith("linux") or not family & {"debian", "ubuntu"} or not shutil.which("apt-get"):
        name = release.get("PRETTY_NAME") or sys.platform
        return f"Only Debian and Ubuntu are set up by us; on {name} install Docker Engine or Podman from its packages."
    if os.geteuid() != 0:
        return (
            "Installing packages takes root: run the command with sudo, or ask the machine's administrator for Docker."
        )
    return None


def install(progress: Progress) -> None:
    """Install what an engine of our own needs, as far as it is missing. Raises EngineError."""
    ensure_tools(_ENGINE, progress)


def ensure_tools(tools: Sequence[str], progress: Progress) -> None:
    """Install the packages of those programs (``dockerd``, ``ip``, ``iptables``, ``mmdebstrap``) that are missing.

    Costs nothing when all are there. Raises EngineError with apt's last lines.
    """
    packages = [_PACKAGES[tool] for tool in tools if find(tool) is None]
    if not packages:
        return
    names = ", ".join(packages)
    reason = supported()
    if reason is not None:
        raise EngineError(f"{names} cannot be installed here.", reason, where="apt-get")
    started = time.monotonic()
    progress(ProgressEvent("engine", f"installing {names}", detail=True))
    with _no_services_without_init():
        _install(packages, progress)
    missing = [tool for tool in tools if find(tool) is None]
    if missing:
        raise EngineError(
            f"{names} were installed, but {', '.join(missing)} is still not to be found.",
            "Look at what `apt-get install --reinstall` says about the package.",
            where="apt-get",
        )
    progress(ProgressEvent("engine", f"installed {names}, {time.monotonic() - started:.0f} s"))


def find(program: str) -> str | None:
    """Where a program is, root's folders included, which a learner's PATH often lacks."""
    return shutil.which(program, path=_PATH)


def architecture() -> str:
    """The machine's architecture in Debian's words (``amd64``, ``arm64``)."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=False).stdout.strip()


def _os_release() -> dict[str, str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        pairs = (line.partition("=") for line in lines if "=" in line)
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return {}


def _install(packages: list[str], progress: Progress) -> None:
    """Install from the package lists as they are; fetch new ones only when there are none or they are out of date."""
    fresh = not any(_LISTS.glob("*Packages*"))
    if fresh:
        _apt(["update"], progress)
    try:
        _apt(["install", "-y", "--no-install-recommends", *packages], progress)
    except EngineError:
        if fresh:
            raise
        # Old lists name packages that the mirror has replaced.
        _apt(["update"], progress)
        _apt(["install", "-y", "--no-install-recommends", *packages], progress)


def _apt(arguments: list[str], progress: Progress) -> None:
    """Run apt-get; its lines are progress. Raises EngineError with the last of them when it fails."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={_LOCK_WAIT}", "-o", "Dpkg::Use-Pty=0", *arguments]
    last: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                last.append(line.strip())
                progress(ProgressEvent("engine", f"apt-get {arguments[0]}: {line.strip()}", detail=True))
    if process.returncode:
        raise EngineError(
            f"`apt-get {' '.join(arguments)}` failed with exit code {process.returncode}.",
            _mend(last),
            where="apt-get",
            log=tuple(last),
        )


@contextmanager
def _no_services_without_init() -> Iterator[None]:
    """Keep packages from starting services where no init system would look after them.

    A machine that has an init system, or a policy of its own, is left as it is.
    """
    runs_init = Path("/proc/1/comm").read_text(encoding="utf-8").strip() in {"systemd", "init"}
    if runs_init or _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _mend(log: Iterable[str]) -> str:
    text = "\n".join(log).lower()
    if "could not get lock" in text or "unable to acquire the dpkg" in text:
        return "Another package manager held the lock all the while: let it finish, then run the command again."
    if "no space left" in text or "enough free space" in text:
        return "The disk is full: make room, then run the command again."
    if "temporary failure resolving" in text or "could not connect" in text or "connection failed" in text:
        return "apt's package mirror is not reached: check the network and apt's proxy, then run the command again."
    if "unable to locate package" in text or "no installation candidate" in text:
        return "apt's sources lack Docker's package: enable the distribution's main archive (on Ubuntu: universe)."
    if "dpkg --configure -a" in text:
        return "An earlier installation was interrupted: run `dpkg --configure -a`, then run the command again."
    return "Run `apt-get install docker.io` by hand to see what is wrong, then run the command again."
