"""Paths and globs as a shell takes them, in an image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.engine.image import Image


def path_pattern(glob: str) -> str:
    """A regular expression for a glob of a shell: `*`, `?` and `[...]` stay inside a directory, `**` does not."""
    parts = glob.strip("/").split("/")
    written = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            written += ".+" if last else "(?:.*/)?"
        else:
            written += "".join(map(_sign, re.findall(r"\[[!^]?\]?[^\]]*\]|.", part))) + ("" if last else "/")
    return f"(?s:{written})"


def _sign(sign: str) -> str:
    if sign == "*":
        return "[^/]*"
    if sign == "?":
        return "[^/]"
    if len(sign) > 1:
        inside = sign[1:-1].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&").replace("~", r"\~")
        negated = inside[0] in "!^"
        characters = inside[1:] if negated else inside
        characters = characters.replace("]", r"\]")
        return f"[^/{characters}]" if negated else f"(?!/)[{characters}]"
    return re.escape(sign)


def is_glob(path: str) -> bool:
    return any(sign in path for sign in "*?[")


def in_place(image: Image, path: str) -> str:
    """A path or a glob, as a glob, with its folder where it really lies."""
    if is_glob(path):
        return through_symlinks(image, path)
    folder, _, last = path.strip("/").rpartition("/")
    real = image.resolve(folder) if folder else ""
    return _quoted("/".join(part for part in (real if real is not None else folder, last) if part))


def _quoted(path: str) -> str:
    """As a glob that means nothing but this path."""
    return re.sub(r"([*?[])", r"[\1]", path)


def through_symlinks(image: Image, glob: str) -> str:
    """``glob`` with the folders before its first sign where they really lie: `/bin/*` means `/usr/bin/*` on Debian."""
    parts = glob.strip("/").split("/")
    plain = next(index for index, part in enumerate(parts) if is_glob(part))
    folder = "/".join(parts[:plain])
    real = image.resolve(folder) if folder else ""
    # The folder's own name is no glob, whatever characters are in it.
    quoted = _quoted(real if real is not None else folder)
    return "/".join([*([quoted] if quoted else []), *parts[plain:]])


def lexists(image: Image, path: str) -> str | None:
    """The name of ``path`` in the image: its folder's symlinks followed, its own not."""
    folder, _, last = path.strip("/").rpartition("/")
    real = image.resolve(folder) if folder else ""
    if real is None:
        return None
    found = f"{real}/{last}".lstrip("/")
    return found if found in image.files else None
