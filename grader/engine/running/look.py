"""Looks at the processes of a container from outside of it, and stops them or lets them go on.

Standard library only, and complete in itself: where this process does not see the container's, the source of this very
file runs in a container that shares their PID namespace (`python3 -c SOURCE [freeze|thaw|end]`), so that both ways see
the same.

What is told is the kernel's: a program can change its name and its arguments, but not the file that it was started
from, its users or its sockets. See proc(5) for all that is read.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: TCP_LISTEN in the `st` column of /proc/net/tcp (include/net/tcp_states.h in Linux).
_LISTEN = "0A"
#: What is in every POSIX shell's program and in no other: sets of texts, any of which tells one.
_SHELLS = ((b"OPTIND", b"PS4"), (b"BusyBox v",), (b"fish_user_paths",))
#: Bytes of a process's arguments that are told.
_ARGS = 1024
#: No shell is larger, in bytes.
_LARGEST_SHELL = 16 << 20


def processes(pids: list[int] | None = None, folder: str = "/proc") -> list[dict[str, Any]]:
    """The processes ``pids`` in the `proc` file system at ``folder``, all but our own when None.

    Of each: pid (the one in its own namespace), host_pid, parent (a host_pid), users (real, effective and saved user,
    as the container counts them), exe (where its program lies in the container), args, name, handles (the signals that
    it handles or waits for), ports (the TCP ports that it listens on), state, and of PID 1 whether it is a shell. Those
    that have ended are left out. Raises PermissionError where they cannot be looked at.
    """
    if pids is None:
        pids = [pid for pid in numbers(folder) if pid != os.getpid()]
    found = []
    for pid in sorted(pids):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(_process(Path(folder, str(pid)), pid))
    return [process for process in found if process["state"] not in "ZX"]


def numbers(folder: str = "/proc") -> list[int]:
    """All processes that there are."""
    return [int(entry.name) for entry in Path(folder).iterdir() if entry.name.isdigit()]


def _process(proc: Path, pid: int) -> dict[str, Any]:
    lines = (proc / "status").read_text(errors="replace").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    inside = int(status.get("NSpid", str(pid)).split()[-1])
    return {
        "pid": inside,
        "host_pid": pid,
        "parent": int(status["PPid"]),
        "users": [_inside(proc, int(user)) for user in status["Uid"].split()[:3]],
        "exe": _program(proc),
        "args": [arg.decode(errors="replace") for arg in (proc / "cmdline").read_bytes()[:_ARGS].split(b"\0") if arg],
        "name": status["Name"],
        "handles": _signals(status["SigCgt"]) + _signals(status["SigBlk"]),
        "ports": _ports(proc),
        "shell": inside == 1 and _is_shell(proc / "exe"),
        "state": status["State"][:1],
    }


def _program(proc: Path) -> str:
    """Where its program lies; empty for a zombie, which has none any more."""
    try:
        return os.fsencode((proc / "exe").readlink()).decode(errors="replace").removesuffix(" (deleted)")
    except FileNotFoundError:
        return ""


def _inside(proc: Path, user: int) -> int:
    """The number of a user in the container's own user namespace (user_namespaces(7))."""
    for line in (proc / "uid_map").read_text().splitlines():
        inside, outside, count = map(int, line.split())
        if outside <= user < outside + count:
            return inside + user - outside
    return user


def _signals(mask: str) -> list[int]:
    bits = int(mask, 16)
    return [number for number in range(1, 65) if bits >> (number - 1) & 1]


def _ports(proc: Path) -> list[int]:
    """The ports of the listening sockets among its open files."""
    listening = {}
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN:
                    listening[f"socket:[{columns[9]}]"] = int(columns[1].rpartition(":")[2], 16)
    ports = set()
    for file in (proc / "fd").iterdir() if listening else ():
        with suppress(FileNotFoundError):
            ports.add(listening.get(str(file.readlink()), 0))
    return sorted(ports - {0})


def _is_shell(program: Path) -> bool:
    """By what is in it: its name says nothing."""
    with suppress(OSError), program.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= _LARGEST_SHELL:
            content = file.read(_LARGEST_SHELL)
            return any(all(mark in content for mark in marks) for marks in _SHELLS)
    return False


def freeze(look: Callable[[], list[dict[str, Any]]]) -> None:
    """Stops what ``look`` finds and what that starts meanwhile; not PID 1, which nobody inside can stop."""
    for _ in range(20):
        going = [process for process in look() if process["state"] not in "Tt" and process["pid"] != 1]
        if not going:
            return
        send(signal.SIGSTOP, going)


def thaw(look: Callable[[], list[dict[str, Any]]]) -> None:
    """Lets go on what was stopped."""
    send(signal.SIGCONT, look())


def end(look: Callable[[], list[dict[str, Any]]]) -> None:
    """Kills what does not descend from PID 1: commands that were run in the container from outside of it."""
    seen = look()
    apps = {process["host_pid"] for process in seen if process["pid"] == 1}
    for _ in seen:
        apps |= {process["host_pid"] for process in seen if process["parent"] in apps}
    send(signal.SIGKILL, [process for process in seen if process["host_pid"] not in apps])


def send(number: int, targets: list[dict[str, Any]]) -> None:
    """Sends a signal to those of ``targets`` that are still there."""
    for target in targets:
        with suppress(ProcessLookupError):
            os.kill(target["host_pid"], number)


if __name__ == "__main__":
    for order in sys.argv[1:]:
        {"freeze": freeze, "thaw": thaw, "end": end}[order](processes)
    print(json.dumps(processes()))  # noqa: T201
