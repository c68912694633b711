"""What of an image is in the way of what every container gets: the kernel's own files, and the engine's.

Engines find it out when they start a container, each in words of its own that a fault of the engine could have too.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from grader.engine.faults.refusal import AppError

if TYPE_CHECKING:
    from grader.engine.image import Image

#: Devices that every container has (OCI runtime specification, config-linux.md, "Default Devices").
_DEVICES = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts")}
#: Files that engines put into every container.
_ENGINES = ("etc/hosts", "etc/hostname", "etc/resolv.conf")


def check(image: Image) -> None:
    """Raises ``AppError`` for an image that no engine can start for that."""
    for volume in sorted(image.config.get("Volumes") or ()):
        path = _leads_to(image, posixpath.normpath(f"/{volume.strip('/')}"))
        if path in {"/", "/dev", *_DEVICES} or f"{path}/".startswith("/proc/"):
            raise AppError(
                f"VOLUME {volume} takes the place of what every container needs there",
                "Name a directory of the app's own, or drop the line.",
            )
    for name in _ENGINES:
        real = image.resolve(name)
        if real is not None and image.files[real].entry.kind == "dir":
            raise AppError(
                f"/{name} is a directory in the image, and every container gets a file there",
                "Leave it to the engine.",
                line=image.line_of(real),
            )


def _leads_to(image: Image, path: str, links: int = 40) -> str:
    """Where a path leads, symlinks followed, whether or not anything is there: what the kernel shows is in no layer."""
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        found = image.files.get("/".join(parts[:count]))
        if found is not None and found.entry.kind == "symlink" and links:
            whole = posixpath.join("/", *parts[: count - 1], found.entry.target, *parts[count:])
            return _leads_to(image, posixpath.normpath(whole), links - 1)
    return path
