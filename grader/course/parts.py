"""A rubric and its parts: what an exercise asks of an image, as its ``rubric.yaml`` says it.

The types of checks are not among them: this package never imports them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from grader.course.model import Model, Rule, field
from grader.course.settings import AppSettings, Settings
from grader.course.units import ByteSize, Duration

if TYPE_CHECKING:
    from pathlib import Path

    from grader.checks.base import Check


def submittable(name: str) -> str:
    """A relative path or glob with forward slashes that stays in the folder, on every system."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts:
        raise ValueError(f"`{name}` leaves the exercise's folder; name files in it, like Dockerfile or app/main.py")
    if re.search(r"[\\\x00-\x1f]", name) or PurePosixPath(name) == PurePosixPath():
        raise ValueError(f"`{name}` is no file name; name each file, with / between folders")
    return name


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
_SecretId = Annotated[str, Rule(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_ArgumentName = Annotated[str, Rule(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class BuildOptions(Model):
    """How the image is built. ``timeout`` is seconds; ``secrets`` are texts by the ids of `RUN --mount=type=secret`.

    ``args`` are texts by the names of `ARG`, ``wheelhouse`` is a path below ``starter/``.
    """

    timeout: Duration = field(default=300.0, description="The build is stopped after this time.")
    secrets: dict[_SecretId, Annotated[str, Rule(_secret)]] = field(
        default={},
        description="What `RUN --mount=type=secret,id=...` gets, by id; `{fresh}` is another text at each grading.",
    )
    args: dict[_ArgumentName, Annotated[str, Rule(_argument)]] = field(
        default={}, description="Build arguments, by name: what `ARG` gets; `{fresh}` as in `secrets`."
    )
    network: Literal["internet", "none"] = field(default="internet", description="What RUN steps can reach.")
    wheelhouse: Annotated[str, Rule(submittable)] | None = field(
        default=None,
        description="A file of requirements in `starter/`. What it names lies in `starter/wheelhouse/`, and so in the "
        "build context; `grader wheelhouse EXERCISE` gets it.",
    )
    remote_add: tuple[Annotated[str, Rule(_address)], ...] = field(
        default=(), description="Addresses that `ADD` may fetch, as globs like `https://example.com/data/*`."
    )


class Ready(Model):
    """When the app counts as started: it answers ``path`` over HTTP. ``status`` None takes any from 200 to 399."""

    path: str = field(default="/", pattern=r"^/[!-~]*$", description="Asked until it answers.")
    within: Duration = field(default=30.0, description="How long the app may take to answer.")
    status: int | None = field(
        default=None, ge=100, le=599, description="The status that counts. Default: any from 200 to 399."
    )


class AppOptions(Model):
    """How the image is run. ``memory`` is bytes."""

    port: int = field(ge=1, le=65535, description="The port that the app listens on.")
    ready: Ready = Ready()
    env: dict[str, str] = field(default={}, description="Environment variables that the app is given.")
    memory: ByteSize = field(default=512_000_000, description="What the app may use.")
    network: Literal["none", "internet"] = field(default="none", description="What the app can reach.")

    @property
    def settings(self) -> AppSettings:
        """The same, without the model."""
        ready = self.ready
        return AppSettings(self.port, ready.path, ready.within, ready.status, self.env, self.memory, self.network)


class Limits(Model):
    """How large what is handed in may be, in bytes."""

    dockerfile: ByteSize = 1 << 20
    context: ByteSize = 50 << 20


class File(Model):
    """A rubric of an exercise on container images."""

    format: Literal[1] = field(description="The version of this format: 1.")
    title: str = field(min_length=1, description="What the exercise is called.")
    submit: tuple[Annotated[str, Rule(submittable)], ...] = field(
        min_length=1, description="The files taken from the learner; all others come from the exercise."
    )
    pass_score: float = field(alias="pass", gt=0, description="The points that it takes to pass.")
    bases: tuple[str, ...] = field(min_length=1, description="The base images that a Dockerfile may use.")
    build: BuildOptions = BuildOptions()
    app: AppOptions | None = None
    limits: Limits = Limits()
    hint_cost: float = field(
        default=0.0,
        ge=0,
        description="The points that each hint by `grader hint` takes off its check; a check may say otherwise. "
        "Gradings in bulk and in CI know of no hints and take nothing.",
    )
    checks: tuple[Any, ...] = field(min_length=1, description="What is asserted, in the order it is told.")


@dataclass(frozen=True)
class Rubric:
    """What an exercise asks. ``digest`` is that of the file's bytes, ``sha256:...``; ``app`` None runs nothing."""

    title: str
    submit: tuple[str, ...]
    pass_score: float
    bases: tuple[str, ...]
    build: BuildOptions
    app: AppOptions | None
    limits: Limits
    checks: tuple[Check, ...]
    digest: str
    path: Path
    format: int = 1
    hint_cost: float = 0.0

    @property
    def settings(self) -> Settings:
        """What is needed before a check is judged."""
        return Settings(
            submit=self.submit,
            bases=self.bases,
            build_timeout=self.build.timeout,
            build_secrets=self.build.secrets,
            build_args=self.build.args,
            dockerfile_limit=self.limits.dockerfile,
            context_limit=self.limits.context,
            app=self.app.settings if self.app else None,
            checks={check.id: "app" in check.uses and not check.target for check in self.checks},
            build_network=self.build.network != "none",
            wheelhouse=self.build.wheelhouse or "",
            remote_add=self.build.remote_add,
        )

    @property
    def hint_costs(self) -> dict[str, float]:
        """The points that a hint takes, by the ids of those checks of which it takes some."""
        costs = {each.id: self.hint_cost if each.hint_cost is None else each.hint_cost for each in self.checks}
        return {id_: cost for id_, cost in costs.items() if cost}

    @property
    def max_score(self) -> float:
        """The sum of all points, without the bonus."""
        return math.fsum(check.points for check in self.checks if not check.bonus)
