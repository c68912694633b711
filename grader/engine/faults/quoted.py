"""What of an engine's message is the learner's: names of files, users and commands, which may be called anything.

A file may be called `no space left on device`, and a folder `overlay2`: neither says that a fault of ours happened.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.submission.dockerfile import Dockerfile

#: How engines say that a path does not lead where it should.
PATH_TROUBLE = (
    r"(?:no such file or directory|not a directory|file exists|is a directory|too many levels of symbolic links)"
)
# Folders of the engine's own that its messages carry in front of a path inside an image or the context.
_INSIDE = re.compile(
    r'/[^\s":]*/(?:overlay2?/[0-9a-z]+/(?:merged|diff)|snapshots/\d+/fs|buildkit-mount\d+|buildah\d+/mnt'
    r"|libpod_builder\d+/build)"
)
# An engine's own folders: a file that is missing there is nobody's but the engine's.
_ENGINE_PATH = re.compile(r"/(?:overlay2?|containerd|buildkit|snapshots|image|docker/tmp|containers/storage)/")
_THEIR_WORDS = (
    re.compile(r'()"(?:[^"\\]|\\.)*"()'),
    re.compile(r"(executor failed running \[).*(\]: )", re.DOTALL),
    re.compile(r"(unable to find (?:user|group) ).*(: no matching entries)"),
    re.compile(r"((?:l?stat|open|mkdir|readlink|failed to walk) /).*(: " + PATH_TROUBLE + ")"),
    re.compile(r"(invalid (?:containerPort|signal): ).*()", re.IGNORECASE),
)


def without_folders(error: str) -> str:
    """Paths of an image or of the context as the learner knows them."""
    return _INSIDE.sub("", error)


def without_quotes(error: str) -> str:
    """What is left of a message when the learner's words are taken out of it."""
    for words in _THEIR_WORDS:
        error = words.sub(r"\1\2", error)
    return error


def names_engines_file(error: str, dockerfile: Dockerfile | None) -> bool:
    """Whether ``error`` is about a file of the engine's own; a path that is written in the Dockerfile is none."""
    paths = [path for path in re.findall(r'/[^\s:"]+', error) if _ENGINE_PATH.search(path)]
    written = set(re.split(r"""[\s/"',=\[\]]+""", "\n".join(dockerfile.lines))) if dockerfile else set()
    return any(not set(path.split("/")) <= written | {""} for path in paths)
