"""What a container of ours may not do, whatever runs in it: one place that says it for apps, commands and probes.

And what stands around a build, which only some engines can be given: `of` says which of those fences an engine has.

No network but its own loopback unless told otherwise, no capabilities, no new privileges, bounded memory, processes,
CPU, files and logs, no mounts, never the engine's socket, never privileged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader.course.units import human_size
from grader.engine.embedded import standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine


#: Where Podman lets a container write whose root is read-only, unless told otherwise; a copy of what is there is kept.
_PODMAN_WRITABLE = ("/tmp", "/run", "/var/tmp")  # noqa: S108  # of the container


def fenced(engine: Engine, labels: Mapping[str, str], memory: int, **changes: Any) -> dict[str, Any]:
    """What `create_container` has to be told; ``changes`` are `create_host_config`'s. ``memory`` is bytes."""
    podman = engine.name == "podman"
    settings: dict[str, Any] = {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": 256,
        "nano_cpus": 1_000_000_000,
        "ulimits": _limits(podman=podman),
        "log_config": _bounded_logs(podman=podman),
    }
    if engine.runtime:
        settings["runtime"] = engine.runtime
    # The engine would run the image's HEALTHCHECK beside our questions; whoever wants it asks for it.
    return {
        "labels": dict(labels),
        "host_config": engine.client.create_host_config(**settings | changes),
        "healthcheck": {"test": ["NONE"]},
    }


def read_only(engine: Engine, tmpfs: Sequence[str]) -> dict[str, Any]:
    """Settings that leave nowhere to write but ``tmpfs``, directories, and volumes."""
    mounts = dict.fromkeys(_PODMAN_WRITABLE if engine.name == "podman" else (), "ro") | dict.fromkeys(tmpfs, "")
    return {"read_only": True, "tmpfs": mounts}


def unlogged() -> dict[str, Any]:
    """For what is read while it is printed."""
    return {"Type": "none", "Config": {}}


def briefly_logged(engine: Engine) -> dict[str, Any]:
    """For what is read while it is printed, and then held against what the engine has of it, byte for byte."""
    if engine.name == "podman":
        return unlogged()
    return {"Type": "local", "Config": {"max-size": "4m", "max-file": "1", "compress": "false"}}


def _limits(*, podman: bool) -> list[dict[str, Any]]:
    limits = [{"Name": "nofile", "Soft": 1024, "Hard": 4096}, {"Name": "core", "Soft": 0, "Hard": 0}]
    if podman:
        # Left alone, Podman asks for its own idea of a maximum, which a machine may refuse; `pids_limit` binds anyway.
        limits.append({"Name": "nproc", "Soft": 8192, "Hard": 8192})
    return limits


def _bounded_logs(*, podman: bool) -> dict[str, Any]:
    """Podman takes the name for its own k8s-file, and knows of one file only."""
    return {"Type": "json-file", "Config": {"max-size": "1m"} | ({} if podman else {"max-file": "1"})}


# --- around builds -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fence:
    """Something that a stranger's build cannot break through, or could.

    ``text`` says what holds where it is ``present``, and why it is not otherwise; ``fix`` what to do about that.
    A fence that is not ``required`` is a recommendation: the others hold without it.
    """

    name: str
    present: bool
    text: str
    fix: str = ""
    required: bool = True


#: What `of` tells of, in this order.
NAMES = ("build memory", "build processes", "build disk", "app limits", "user namespaces")
_OWN = "Grade on a Linux machine as root with the grader's own engine (`grader engine start`), which has this fence."
_ANEW = "Stop and start the grader's own engine (`grader engine stop`, `grader engine start`)."
_MENDED = "Mend that, then stop and start the grader's own engine (`grader engine stop`, `grader engine start`)."


def of(engine: Engine) -> tuple[Fence, ...]:
    """The fences around builds by ``engine``, those that are missing among them.

    Apps and commands are fenced on every engine (see `fenced`), as far as it takes limits. Costs one question to it.
    """
    facts = engine.client.info()
    own = standing.of(engine)
    if own is None:
        texts, lacking = ("", "", ""), (_unfenced(engine),) * 3
    else:
        texts = (memory(own), processes(own), f"a file system of {human_size(own.disk)}" if own.disk else "")
        lacking = (own.no_limits, own.no_limits, own.no_disk)
    fix = _MENDED if own else _ANEW if engine.private else _OWN
    return (
        *(
            Fence(name, present=bool(text), text=text or why, fix="" if text else fix)
            for name, text, why in zip(NAMES[:3], texts, lacking, strict=True)
        ),
        _app_limits(facts),
        _user_namespaces(facts),
    )


def missing(engine: Engine) -> tuple[Fence, ...]:
    """The fences that ``engine`` lacks and that a grading of strangers' files should have."""
    own = standing.of(engine)
    if own and own.memory and own.processes and own.disk:
        # A kernel that bounds steps bounds apps: there is nothing to ask, which costs the engine about 20 ms.
        return ()
    return tuple(fence for fence in of(engine) if fence.required and not fence.present)


def _unfenced(engine: Engine) -> str:
    if engine.private:
        return "the grader's own engine was started by a version that had no fences"
    if engine.name == "podman":
        return "Podman's builder is not bounded by the grader"
    return "the engine is not the grader's own, and bounds no RUN step"


def _app_limits(facts: Mapping[str, Any]) -> Fence:
    """Engine API, SystemInfo: what the kernel lets this engine limit. The rest it ignores, and only warns of it."""
    names = {"MemoryLimit": "memory", "PidsLimit": "processes"}
    lacking = [name for key, name in names.items() if facts.get(key) is False]
    if not lacking:
        return Fence(NAMES[3], present=True, text="memory and processes of each container")
    fix = "A rootless engine needs control groups of version 2 that are delegated to its user; see `docker info`."
    return Fence(
        NAMES[3], present=False, text=f"the engine cannot bound {' and '.join(lacking)} of a container", fix=fix
    )


def _user_namespaces(facts: Mapping[str, Any]) -> Fence:
    """Engine API, SystemInfo, `SecurityOptions`; Podman says the same of itself."""
    told = facts.get("SecurityOptions") or []
    if any("name=rootless" in option for option in told):
        return Fence(NAMES[4], present=True, text="the engine itself is not root", required=False)
    if any("name=userns" in option for option in told):
        return Fence(NAMES[4], present=True, text="root in a container is nobody on the machine", required=False)
    return Fence(
        NAMES[4],
        present=False,
        text="root in a container has root's number on the machine, too, and only its capabilities are taken away",
        fix="Your own engine can be rootless, or have `userns-remap` in its daemon.json: the grader works with both.",
        required=False,
    )


def memory(own: standing.Standing) -> str:
    """What an engine of ours bounds, in words; empty when it does not."""
    if own.memory is None:
        return ""
    each, together = own.memory
    return f"{human_size(each)} for a step, {human_size(together)} for all at a time"


def processes(own: standing.Standing) -> str:
    """What an engine of ours bounds, in words; empty when it does not."""
    return f"{own.processes[0]} for a step, {own.processes[1]} for all at a time" if own.processes else ""
