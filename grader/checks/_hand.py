"""Docker commands for a person's own shell, which show what a check sees."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What the image, the running app and a container that only holds files are called in them.
IMAGE, APP, FILES = "my-image", "my-app", "my-files"


def quoted(*words: str) -> str:
    """Words as a shell takes them."""
    return shlex.join(words)


def build(target: str = "", *, options: str = "") -> str:
    """Builds the image from the folder one stands in."""
    stage = f"--target {quoted(target)} " if target else ""
    return f"docker build {options + ' ' if options else ''}{stage}-t {IMAGE} ."


def start(port: int, *, target: str = "") -> tuple[str, ...]:
    """Builds the image and starts the app."""
    return (build(target), f"docker run -d --name {APP} -p {port}:{port} {IMAGE}")


def end() -> str:
    """Removes the app."""
    return f"docker rm -f {APP}"


def files(looks: Iterable[str], *, target: str = "") -> tuple[str, ...]:
    """Looks into a container that never runs: nothing in the image is asked, and no shell in it is needed."""
    return (build(target), f"docker create --name {FILES} {IMAGE} x", *looks, f"docker rm {FILES}")


def listing(patterns: Iterable[str]) -> str:
    """The files of the image that match one of some extended regular expressions, from its root, without a slash."""
    return f"docker export {FILES} | tar -tf - | grep -E {quoted('|'.join(patterns))}"


def glob_regex(path: str) -> str:
    """An absolute path or glob of a rubric as an extended regular expression for `listing`."""
    parts = re.split(r"(\*\*|\*|\?)", path.strip("/"))
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "^" + "".join(words.get(part) or re.sub(r"([.+()|^$\[\]{}\\])", r"\\\1", part) for part in parts) + "(/|$)"


def read(path: str) -> str:
    """Writes a file of the image to stdout."""
    return f"docker cp {FILES}:{quoted(path)} - | tar -xOf -"
