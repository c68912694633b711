"""What a container of ours may not do, whatever runs in it: one place that says it for apps, commands and probes.

No network but its own loopback unless told otherwise, no capabilities, no new privileges, bounded memory, processes,
CPU, files and logs, no mounts, never the engine's socket, never privileged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
