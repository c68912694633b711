"""Where the private engine lives: its folders, its sockets, its names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from grader.engine.embedded.bridge import SUBNETS
from grader.errors import UsageError

#: The longest path that a socket can have, in bytes (unix(7), `sun_path`, less its ending).
_LONGEST_SOCKET = 107


@dataclass(frozen=True)
class Home:
    """Where the engine lives. ``run`` is lost with a reboot, ``data`` stays; ``bridge`` is its network interface.

    What belongs to ``data`` and is not in it stands beside it: a file system may be mounted there.
    """

    run: Path = Path("/run/grader")
    data: Path = Path("/var/lib/grader/engine")
    bridge: str = "grader0"
    subnets: tuple[str, ...] = SUBNETS

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self.run / "docker.sock"

    @property
    def endpoint(self) -> str:
        """Where it answers, in the form of DOCKER_HOST."""
        return f"unix://{self.socket}"

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
        return self.beside("log")

    @property
    def image(self) -> Path:
        """The file that holds the file system of its data."""
        return self.beside("img")

    @property
    def limits(self) -> Path:
        """What it was last asked to keep to."""
        return self.beside("json")

    @property
    def programs(self) -> Path:
        """Programs of ours that it calls instead of others. Not in ``run``, where a machine may let nothing run."""
        return self.beside("bin")

    @property
    def cgroup(self) -> str:
        """The control group of its builds and containers.

        A machine within this one (a container with an engine in it) may have the same home, and share the hierarchy.
        """
        inside = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
        return f"grader-{self.bridge}-{inside}"

    def beside(self, suffix: str) -> Path:
        """A path beside its data that is named after it."""
        return self.data.parent / f"{self.data.name}.{suffix}"

    def check(self) -> None:
        """Raises UsageError when its sockets would have longer paths than sockets can have."""
        longest = self.exec_root / "containerd/containerd.sock.ttrpc"
        over = len(os.fsencode(longest)) - _LONGEST_SOCKET
        if over > 0:
            raise UsageError(
                f"The grader's own engine cannot live in {self.run}: the paths of its sockets would be {over} bytes "
                "longer than a socket's path can be",
                f"Take a folder whose path is at least {over} bytes shorter.",
                where=str(self.run),
            )


HOME = Home()
