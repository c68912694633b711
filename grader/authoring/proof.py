"""What is proven of an exercise: facts, each with what speaks against it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.errors import GraderError

SCHEMA = "grader.proof/1"

#: The kinds of facts, in the order they are told, each with its sentence; ``{}`` is what the fact is about.
SENTENCES = {
    "rubric": "the rubric can be read",
    "starter": "the starter does not pass",
    "solution": "the solution scores everything",
    "again": "the solution is judged the same a second time",
    "checks": "{} is failed by a broken Dockerfile",
    "broken": "broken/{} fails what it says",
    "hints": "{} has hints of its own",
    "bases": "base images are pinned",
    "files": "the task is written and no file is left over",
}

Verdict = Literal["proven", "refuted", "unsettled"]


@dataclass(frozen=True)
class Finding:
    """Something that an author has to mend: what, how, and where (``path:line`` where there is a line)."""

    what: str
    fix: str
    where: str

    @classmethod
    def of(cls, error: GraderError, otherwise: Path) -> Finding:
        """What an exercise was refused for; an error that has no place is ``otherwise``'s."""
        return cls(error.what, error.fix, error.where or place(otherwise))


@dataclass(frozen=True)
class Fact:
    """One thing that has to be true of an exercise; ``subject`` is the check or the folder that it is about.

    ``told`` is a word on how it came out. ``unsettled`` says what kept it from being looked at, a fault of the engine
    or the grader: it is neither proven nor refuted then.
    """

    kind: str
    subject: str = ""
    told: str = ""
    findings: tuple[Finding, ...] = ()
    unsettled: str = ""

    @property
    def sentence(self) -> str:
        """What is true if it is proven."""
        return SENTENCES[self.kind].format(self.subject)

    @property
    def verdict(self) -> Verdict:
        """How it came out."""
        return "unsettled" if self.unsettled else "refuted" if self.findings else "proven"


@dataclass(frozen=True)
class Proof:
    """All that was looked at for one exercise; ``exercise`` is its id."""

    exercise: str
    facts: tuple[Fact, ...]

    @property
    def verdict(self) -> Verdict:
        """Refuted before unsettled: what was found stays true whatever else is found."""
        return together(fact.verdict for fact in self.facts)

    def of(self, kind: str) -> tuple[Fact, ...]:
        """The facts of one kind."""
        return tuple(fact for fact in self.facts if fact.kind == kind)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that has to be mended, each thing once."""
        return tuple(dict.fromkeys(finding for fact in self.facts for finding in fact.findings))


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """What several facts come to."""
    found = set(verdicts)
    return "refuted" if "refuted" in found else "unsettled" if "unsettled" in found else "proven"


def to_json(proofs: Sequence[Proof]) -> dict[str, Any]:
    """The ``grader.proof/1`` object, made of dicts, lists, strings and numbers only."""
    exercises = [
        {
            "exercise": proof.exercise,
            "verdict": proof.verdict,
            "facts": [{"sentence": fact.sentence, "verdict": fact.verdict} | asdict(fact) for fact in proof.facts],
        }
        for proof in proofs
    ]
    return {"schema": SCHEMA, "verdict": together(proof.verdict for proof in proofs), "exercises": exercises}


def place(path: Path, line: int | None = None) -> str:
    """``solutions/03-x/Dockerfile:4``; relative when it lies below the current folder."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{line}" if line else str(shown)
