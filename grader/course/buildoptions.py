"""How a rubric lets an image be built: `build:`."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from grader.course.units import Duration


def submittable(name: str) -> str:
    """A relative path or glob with forward slashes that stays in the folder, on every system."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts:
        raise ValueError(f"`{name}` leaves the exercise's folder; name files in it, like Dockerfile or app/main.py")
    if re.search(r"[\\\x00-\x1f]", name) or PurePosixPath(name) == PurePosixPath():
        raise ValueError(f"`{name}` is no file name; name each file, with / between folders")
    return name


class Part(BaseModel):
    """A part of a rubric: whatever it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _secret(text: str) -> str:
    """Long enough not to be found where nobody left it."""
    if "{fresh." in text:
        raise ValueError("a secret takes `{fresh}` alone; what is worked out from it is for checks")
    if len(text) < 8 and "{fresh}" not in text:
        raise ValueError("a secret of less than 8 characters would be found where nobody left it; use {fresh}")
    return text


def _argument(text: str) -> str:
    if "{fresh." in text:
        raise ValueError("a build argument takes `{fresh}` alone; what is worked out from it is for checks")
    return text


def _address(glob: str) -> str:
    """Of one host, so that nobody allows more than they see."""
    if not re.match(r"(?:https?|git|ssh)://[^/*?\[@]+/|[\w.-]+@[^/*?\[:]+:", glob):
        raise ValueError(f"`{glob}` names no host; write it like `https://example.com/data/*`")
    return glob


#: As it can stand in a `--mount` and in the name of a file.
_SecretId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_ArgumentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class BuildOptions(Part):
    """How the image is built. ``timeout`` is seconds; ``secrets`` are texts by the ids of `RUN --mount=type=secret`.

    ``args`` are texts by the names of `ARG`, ``wheelhouse`` is a path below ``starter/``.
    """

    timeout: Duration = Field(default=300.0, description="The build is stopped after this time.")
    secrets: dict[_SecretId, Annotated[str, AfterValidator(_secret)]] = Field(
        default={},
        description="What `RUN --mount=type=secret,id=...` gets, by id; `{fresh}` is another text at each grading.",
    )
    args: dict[_ArgumentName, Annotated[str, AfterValidator(_argument)]] = Field(
        default={}, description="Build arguments, by name: what `ARG` gets; `{fresh}` as in `secrets`."
    )
    network: Literal["internet", "none"] = Field(default="internet", description="What RUN steps can reach.")
    wheelhouse: Annotated[str, AfterValidator(submittable)] | None = Field(
        default=None,
        description="A file of requirements in `starter/`. What it names lies in `starter/wheelhouse/`, and so in the "
        "build context; `grader wheelhouse EXERCISE` gets it.",
    )
    remote_add: tuple[Annotated[str, AfterValidator(_address)], ...] = Field(
        default=(), description="Addresses that `ADD` may fetch, as globs like `https://example.com/data/*`."
    )
