"""What a check is: a model whose fields are its YAML, with ``run(subject) -> Outcome``."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as plain_field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_type_hints

from grader.course.model import Model, field
from grader.course.units import Duration
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks.subject import Subject


@dataclass(frozen=True)
class Outcome:
    """What a check found. ``line`` is the Dockerfile line concerned, 1-based.

    ``credit`` is the share of the points that a failed check earns all the same, from 0 to 1. ``parts`` are verdicts of
    their own, for a check that is many (`pytest`); each is told as a check, and they share the check's points.
    """

    status: Status
    expected: str
    got: str
    line: int | None = None
    evidence: Mapping[str, Any] = plain_field(default_factory=dict)
    credit: float = 0.0
    parts: tuple[OutcomePart, ...] = ()


@dataclass(frozen=True)
class OutcomePart:
    """One of the verdicts that a check consists of. ``id`` is unique in its check; ``points`` count to the check's."""

    id: str
    title: str
    points: float
    outcome: Outcome
    why: str = ""
    hints: tuple[str, ...] = ()


def passed(*, expected: str, got: str, line: int | None = None, **evidence: Any) -> Outcome:
    """The image is as the rubric asks."""
    return Outcome(Status.PASSED, expected, got, line, evidence)


def failed(*, expected: str, got: str, line: int | None = None, credit: float = 0.0, **evidence: Any) -> Outcome:
    """The image is not, or with ``credit`` not quite, as the rubric asks, through what the learner's files did."""
    return Outcome(Status.FAILED, expected, got, line, evidence, credit)


class Check(Model):
    """The fields that every check type shares."""

    #: What the check looks at (`image`, `app`): the grader makes these ready side by side, before the first check asks.
    #: What is not named here is made when it is first asked for.
    uses: ClassVar[frozenset[str]] = frozenset()
    #: It judges what was handed in and needs no engine, so that a learner can be told before anything is built.
    of_files: ClassVar[bool] = False
    #: Why it matters and what to try, for a rubric that does not say so itself.
    reason: ClassVar[str] = ""
    advice: ClassVar[str] = ""
    #: What it looks at, in words for a learner, for `grader explain`.
    looks_at: ClassVar[str] = ""
    #: A check of this type as YAML, for `grader checks`.
    example: ClassVar[str] = ""

    id: str = field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Names the check in results; unique in its rubric.")
    check: str = field(description="The check type.")
    title: str = field(default="", description="One line for the learner: what should be true.")
    points: float = field(ge=0, description="What it is worth.")
    bonus: bool = field(default=False, description="Its points come on top of the full score.")
    required: bool = field(default=False, description="When it fails, the checks after it are skipped.")
    needs: tuple[str, ...] = field(default=(), description="Ids of checks that have to pass, or this one is skipped.")
    target: str = field(default="", description="A stage to judge instead of the final image, as `--target` builds it.")
    why: str = field(default="", description="Why it matters, for the learner.")
    hints: tuple[str, ...] = field(default=(), description="What to try, from a nudge to the way itself.")
    hint_cost: float | None = field(
        default=None, ge=0, description="The points that each hint by `grader hint` takes; the rubric's if left out."
    )
    show: Literal["full", "got-only", "nothing"] = field(
        default="full", description="How much a learner is told: all, not what was expected, or the verdict alone."
    )
    timeout: Duration | None = field(
        default=None, description="The longest that the check may take; what it runs of the learner's fails after it."
    )

    def run(self, subject: Subject) -> Outcome:
        """Judges ``subject``.

        A ``SubmissionError`` out of the subject is the learner's; any other exception becomes an ``error``.
        """
        raise NotImplementedError

    def only_reads(self) -> bool:
        """Whether it looks at files, layers and steps alone, and starts nothing: then it does not wait for the app."""
        return self.of_files

    def expectation(self) -> str:
        """What is expected, in words, for when the check could not be run."""
        return self.title or self.id

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for types that have an app to ask
        """Lines for a person's shell that show the same with docker; the app, if there is one, listens on ``port``.

        They stand in the folder of the Dockerfile; names of images and containers are those of `checks._hand`. Nothing
        where docker has no command for it.
        """
        return ()

    @classmethod
    def type_name(cls) -> str:
        """The check type's name in YAML."""
        return str(get_args(get_type_hints(cls)["check"])[0])
