"""The control group of the private engine, which bounds what its builds use.

Everything of the engine is below one group of ours: its containers, each with limits of its own, and below `buildkit`
every RUN step in a group of its own. What all steps may use together is written there. What a single one may use is
added to what BuildKit asks for by ``_RUNC``, which comes before the engine's own runc on its PATH: the kernel holds a
step to it from its first instruction on, and no other step pays for it.

Sources: the kernel's cgroup-v1/memory.rst, cgroup-v1/pids.rst and cgroup-v2.rst; the OCI runtime specification's
config-linux.md for what runc reads.
"""

from __future__ import annotations

import json
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grader.engine.install import find

_MOUNTS = Path("/proc/self/mounts")
#: The group that BuildKit makes for its steps.
STEPS = "buildkit"
# Of all that a container runtime is asked, `run` is what BuildKit alone asks: containers are created, then started.
_RUNC = """#!/bin/sh
# Made by the grader at each start of its own engine: holds build steps to limits.
bundle= before= run=
for word; do
  case $before in --bundle) bundle=$word ;; esac
  case $word in run) run=yes ;; esac
  before=$word
done
if [ -n "$run" ] && [ -f "$bundle/config.json" ]; then
  sed -i -e {merged} -e t -e {added} "$bundle/config.json"
fi
exec {runc} "$@"
"""


@dataclass(frozen=True)
class Bounds:
    """What builds are held to. ``memory`` is bytes; each has that of one RUN step, and of all that run at a time."""

    memory: tuple[int, int]
    processes: tuple[int, int]


def bound(group: str, bounds: Bounds, programs: Path) -> str:
    """Holds the builds of the engine whose control group is ``group`` to ``bounds``, from its next start on.

    ``programs`` is a folder that comes first on its PATH. Returns why that cannot be, and nothing when it can.
    """
    runc = find("runc")
    if runc is None:
        return "the engine's runc is not to be found"
    try:
        memory, pids = (_made(controller, group) for controller in ("memory", "pids"))
    except OSError as error:
        return f"the kernel's control groups cannot be used: {error.strerror} ({error.filename})"
    if memory is None or pids is None:
        return f"the kernel has no control groups for {'memory' if memory is None else 'processes'}"
    try:
        swap = _bound_memory(memory, bounds.memory[1])
        (pids / "pids.max").write_text(str(bounds.processes[1]))
        _lower_share(group)
        _write_runc(programs, runc, _resources(bounds, swap=swap))
    except OSError as error:
        return f"a limit cannot be set: {error.strerror} ({error.filename})"
    return ""


def remove(group: str) -> None:
    """Removes a group and those below it, as far as nothing runs in them."""
    for root in dict.fromkeys(path for _, path, _ in _hierarchies()):
        for folder, _, _ in os.walk(root / group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def group_of_steps(controller: str, group: str) -> Path | None:
    """The folder of the group of all RUN steps where ``controller`` bounds it; None when the kernel has none such."""
    version_2 = None
    for kind, root, options in _hierarchies():
        if kind == "cgroup" and controller in options:
            return root / group / STEPS
        if kind == "cgroup2" and controller in (root / "cgroup.controllers").read_text(encoding="ascii").split():
            version_2 = root / group / STEPS
    return version_2


def _made(controller: str, group: str) -> Path | None:
    """The same, made."""
    folder = group_of_steps(controller, group)
    if folder is None:
        return None
    for parent in (folder.parents[1], folder.parents[0]):
        parent.mkdir(exist_ok=True)
        if (parent / "cgroup.subtree_control").exists():
            (parent / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
    folder.mkdir(exist_ok=True)
    return folder


def _hierarchies() -> list[tuple[str, Path, list[str]]]:
    """The kind of each that is mounted, its place, and of version 1 its controllers."""
    lines = (line.split() for line in _MOUNTS.read_text(encoding="utf-8").splitlines())
    return [
        (kind, Path(place), options.split(",")) for _, place, kind, options, *_ in lines if kind.startswith("cgroup")
    ]


def _bound_memory(folder: Path, limit: int) -> bool:
    """Bounds a group's memory, and memory and swap together; returns whether the kernel accounts for swap."""
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(limit))
        swap = folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        return swap.exists()
    both = folder / "memory.memsw.limit_in_bytes"
    if both.exists():
        # Neither may ever be above the other: whichever way it goes, one of the two orders is refused.
        both.write_text("-1")
    (folder / "memory.limit_in_bytes").write_text(str(limit))
    if both.exists():
        both.write_text(str(limit))
    return both.exists()


def _lower_share(group: str) -> None:
    """When processors are scarce, what asks and answers comes before what builds."""
    with suppress(OSError):
        folder = _made("cpu", group)
        if folder is not None:
            for name, half in (("cpu.weight", "50"), ("cpu.shares", "512")):
                if (folder / name).exists():
                    (folder / name).write_text(half)


def _resources(bounds: Bounds, *, swap: bool) -> str:
    """What one step may use, as members of the `resources` of OCI's configuration."""
    limit = bounds.memory[0]
    memory = {"limit": limit, "swap": limit} if swap else {"limit": limit}
    found = json.dumps({"memory": memory, "pids": {"limit": bounds.processes[0]}}, separators=(",", ":"))
    return found[1:-1]


def _write_runc(programs: Path, runc: str, resources: str) -> None:
    """In JSON a quote inside of a text is escaped: what is replaced is never anything of the learner's."""
    merged = f's|"linux":{{"resources":{{|&{resources},|'
    added = f's|"linux":{{|&"resources":{{{resources}}},|'
    programs.mkdir(parents=True, exist_ok=True, mode=0o755)
    text = _RUNC.format(merged=shlex.quote(merged), added=shlex.quote(added), runc=shlex.quote(runc))
    new = programs / "runc.new"
    new.write_text(text, encoding="utf-8")
    new.chmod(0o755)
    new.rename(programs / "runc")
