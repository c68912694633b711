"""Packages that an image holds, by the files that they left in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.engine.image import Image

DPKG_STATUS = "var/lib/dpkg/status"
_DPKG_LISTS = "var/lib/dpkg/info/"
#: Distroless images keep one file a package here.
_DPKG_FOLDER = "var/lib/dpkg/status.d/"
#: States in which a package's files are not there (dpkg(1), "Package states").
_NOT_THERE = {"not-installed", "config-files"}
#: `name-1.0.dist-info/`, `name-1.0-py3.11.egg-info`, and `name.egg-info/` of editable installs.
_METADATA = re.compile(r"(?:^|/)([^/]+?)(?:-[^/-]+(?:-py[\d.]+)?\.(?:dist|egg)-info|\.egg-info)$")


def debian_packages(image: Image) -> dict[str, str]:
    """Installed Debian packages -> a file that came with them, else the one that says that they are installed."""
    separate = [path for path in image.files if path.startswith(_DPKG_FOLDER) and not path.endswith(".md5sums")]
    found: dict[str, str] = {}
    for path, content in image.read([DPKG_STATUS, *separate]).items():
        for paragraph in content.decode(errors="replace").split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"(Package|Status): ", line)
            )
            # In distroless images there is no status: what has a file is there.
            state = fields.get("Status", "installed").split()
            if "Package" in fields and state and state[-1] not in _NOT_THERE:
                found[fields["Package"].strip()] = path
    lists = {_package_of(path): path for path in image.files if path.startswith(_DPKG_LISTS) and path.endswith(".list")}
    return {name: lists.get(name, path) for name, path in found.items()}


def _package_of(path: str) -> str:
    """`var/lib/dpkg/info/libc6:amd64.list` -> `libc6`."""
    return path.removeprefix(_DPKG_LISTS).removesuffix(".list").partition(":")[0]


def debian_package(path: str) -> str | None:
    """The Debian package whose list of files ``path`` is; None when it is none."""
    return _package_of(path) if path.startswith(_DPKG_LISTS) and path.endswith(".list") else None


def pip_packages(paths: Iterable[str]) -> dict[str, str]:
    """Python packages, by canonical name -> the metadata folder or file that gives them away."""
    return {name: path for path in sorted(paths) if (name := pip_package(path)) is not None}


def canonical(name: str) -> str:
    """A Python package's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip_package(path: str) -> str | None:
    """The canonical name of the Python package whose metadata lie at ``path``; None when none do."""
    match = _METADATA.search(path)
    return canonical(match[1]) if match else None
