"""A Dockerfile that asks for another kind of machine than the one on which it is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.submission.dockerfile import Dockerfile

#: What engines say when they have no image for a platform, or look for one where there is none to be had.
_LOOKED = re.compile(
    r"failed to (?:do request|resolve|create LLB definition|load cache key|parse platform)"
    r"|no match(?:ing manifest)? for|does not (?:match|provide) the specified platform|no such host"
    r"|unknown (?:operating system|architecture)|choosing an image from manifest list|no image found"
    r"|initializing source|resolve image config|pull access denied|pinging container registry",
    re.IGNORECASE,
)
#: Other names of the same machine (containerd, platforms/database.go).
_SAME = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
#: Variables that BuildKit fills in with the platform of the machine, as nobody asks for another one here.
_OWN = re.compile(r"\$\{?(?:BUILD|TARGET)PLATFORM\}?")


def foreign(error: str, dockerfile: Dockerfile | None, own: str) -> SubmissionError | None:
    """The learner's mistake, if ``error`` tells of an image that was looked for and a FROM asks for another platform.

    The base images are present for the engine's ``own`` platform (`linux/amd64`): nothing else has to be looked for.
    """
    if dockerfile is None or not own or not _LOOKED.search(error):
        return None
    for platform, line in _asked(dockerfile):
        if not _OWN.fullmatch(platform) and _plain(platform) != _plain(own):
            return SubmissionError(
                f"The Dockerfile asks for the platform {platform}, and its base image is here for {own} only",
                f"Take `--platform` out of line {line} of the Dockerfile.",
                where=f"Dockerfile:{line}",
                line=line,
            )
    return None


def _asked(dockerfile: Dockerfile) -> Iterator[tuple[str, int]]:
    """The platforms that stages which start from an image are to be of, each with the line of its FROM."""
    return ((stage.platform, stage.line) for stage in dockerfile.stages if stage.platform and stage.parent is None)


def _plain(platform: str) -> str:
    """System and machine, under the name that engines give them."""
    *system, machine = platform.lower().removesuffix("/v1").removesuffix("/v8").split("/")
    return "/".join([*(system or ["linux"]), _SAME.get(machine, machine)])
