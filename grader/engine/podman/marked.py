"""Ends what a Podman build is running.

Podman has no call that ends a build, and a step goes on when its client has gone (seen with 4.3.1): its builder looks
at the connection only between two steps. When the process of a RUN is killed, the builder ends the build by itself and
removes its working containers. So each build's processes carry a mark that finds them: the limit on file locks, which
the kernel has not looked at since 2.4.25 (setrlimit(2), RLIMIT_LOCKS), is set to a number that no other build has.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from docker.errors import APIError
from docker.types import Ulimit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine

#: Seconds without a marked process after which the build is taken to be between two steps, or over.
_QUIET = 1.0
_LOOK_EVERY = 0.05
# In the shell's own words, because an image need have no other: kills what is marked, until there has been none of it
# for as long as ten looks, and for fifty at most.
_KILLER = """
quiet=0 looks=0
while [ $quiet -lt 10 ] && [ $looks -lt 50 ]; do
  quiet=$((quiet + 1)) looks=$((looks + 1))
  for folder in /proc/[0-9]*; do
    while read -r line; do
      case $line in "Max file locks"*%d*) kill -9 "${folder#/proc/}" && quiet=0 ;; esac
    done < "$folder/limits"
  done 2>/dev/null
  sleep 0.1
done
"""


class Mark:
    """What tells the processes of one build from all others."""

    def __init__(self) -> None:
        """A mark that no other build has."""
        # As a limit it has to be positive in 64 bits; its first bit makes all of them equally long.
        self._number = 1 << 61 | secrets.randbits(61)

    @property
    def ulimit(self) -> str:
        """The mark as the build call takes it (`ulimits`)."""
        return f"locks={self._number}:{self._number}"

    def end(self, engine: Engine, images: Sequence[str], labels: Mapping[str, str]) -> None:
        """Kills the processes of the build, until there have been none for a second.

        On an engine whose processes cannot be killed from here, a container does it that sees them: it is made of the
        first of ``images`` that has a shell, and carries ``labels``.
        """
        if not self._end_here() and not engine.local:
            self._end_there(engine, images, labels)

    def _end_here(self) -> bool:
        """Whether there was any that this process may kill."""
        # One that was killed is seen until its parent has taken note of it.
        killed: set[int] = set()
        last = time.monotonic()
        while time.monotonic() - last < _QUIET:
            for pid in self._marked():
                if pid not in killed and _kill(pid):
                    killed.add(pid)
                    last = time.monotonic()
            time.sleep(_LOOK_EVERY)
        return bool(killed)

    def _marked(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/limits"):
            with suppress(OSError):
                if str(self._number) in path.read_text():
                    found.append(int(path.parent.name))
        return found

    def _end_there(self, engine: Engine, images: Sequence[str], labels: Mapping[str, str]) -> None:
        client: Any = engine.client
        fences = client.create_host_config(
            pid_mode="host",
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["KILL"],
            security_opt=["no-new-privileges"],
            # Left alone, Podman asks for as much as it can think of, which a machine may refuse.
            ulimits=[Ulimit(name=name, soft=1024, hard=1024) for name in ("nofile", "nproc")],
        )
        for image in images:
            container = ""
            try:
                container = client.create_container(
                    image,
                    entrypoint=["/bin/sh"],
                    command=["-c", _KILLER % self._number],
                    user="0:0",
                    labels=dict(labels),
                    host_config=fences,
                )["Id"]
                client.start(container)
                client.wait(container, timeout=10)
            except (APIError, requests.RequestException):
                continue
            else:
                return
            finally:
                if container:
                    with suppress(APIError, requests.RequestException):
                        client.remove_container(container, force=True, v=True)


def _kill(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
