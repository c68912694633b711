"""What of a rubric is needed before a check is judged: how a submission is taken, built and started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class AppSettings:
    """How the image is run and when its app counts as started. Times are seconds, ``memory`` is bytes."""

    port: int
    path: str
    within: float
    status: int | None
    env: Mapping[str, str]
    memory: int
    network: Literal["none", "internet"]


@dataclass(frozen=True)
class Settings:
    """``build_timeout`` is in seconds, the limits are bytes; ``app`` None runs nothing.

    ``build_secrets`` are texts by their ids, ``build_args`` by their names, as the rubric writes them. ``add_from`` are
    the beginnings of addresses that ADD may fetch from. ``checks`` are
    the ids of all checks, in order, each with whether it asks the running app.
    """

    submit: tuple[str, ...]
    bases: tuple[str, ...]
    build_timeout: float
    build_secrets: Mapping[str, str]
    build_args: Mapping[str, str]
    add_from: tuple[str, ...]
    dockerfile_limit: int
    context_limit: int
    app: AppSettings | None
    checks: Mapping[str, bool]
