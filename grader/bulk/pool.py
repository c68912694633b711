"""Where gradings are done: what a run asks of its workers, be they processes here or a cluster's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.bulk.learner import Handed


@dataclass(frozen=True)
class Bounds:
    """What a command lets its user say of a run: whether stand-ins are agreed to, and what bounds it.

    ``most`` bounds the gradings at a time, ``bound`` the bytes of build cache that an engine keeps. ``fenced`` refuses
    engines that lack a fence which strangers' builds should have.
    """

    stand_ins: bool = False
    most: int | None = None
    bound: int | None = None
    fenced: bool = False


@dataclass(frozen=True)
class Setting:
    """What every worker is told: the exercise's folder, and what the run's user has said.

    Only workers whose disk nobody else looks at keep build cache within its bound.
    """

    exercise: Path
    bounds: Bounds = Bounds()


@dataclass(frozen=True)
class Job:
    """One submission to be graded; ``name`` is whose it is."""

    name: str
    handed: Handed


@dataclass(frozen=True)
class Done:
    """What came of a job: a ``grader.result/1`` object, or, with None, why the worker ended before it had one."""

    worker: Worker
    job: Job
    result: dict[str, Any] | None
    why: str = ""


class Worker(Protocol):
    """Grades one submission at a time."""

    @property
    def alive(self) -> bool:
        """Whether it can take another job."""

    def begin(self, job: Job) -> None:
        """Hands it a job; whatever keeps it from being done is told by `take`."""

    def take(self) -> Done:
        """What came of its job; asked when the pool's `wait` has named it."""

    def interrupt(self) -> None:
        """Ends what it is at, and it with it."""

    def end(self) -> None:
        """Lets it end: at once when it waits, after what it is at otherwise."""

    def join(self) -> None:
        """Waits for its end."""


W = TypeVar("W", bound=Worker)


class Pool(Protocol[W]):
    """Where workers come from."""

    @property
    def room(self) -> int:
        """How many may grade at a time, at least one; it may change while a run goes on."""

    def start(self) -> W:
        """One more worker."""

    def wait(self, busy: Sequence[W], seconds: float) -> Sequence[W]:
        """Those that have an answer, or will never have one; none when ``seconds`` have passed."""
