"""Which instructions there must or must not be, by patterns, and what the commands of RUN must or must not contain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grader.checks._instructions import InstructionPattern, parse
from grader.checks._text import Regex, found_in, shown
from grader.course.model import Model, field
from grader.course.suggest import listed
from grader.submission.commands import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.checks._stages import Fault
    from grader.submission.dockerfile import Dockerfile as Parsed
    from grader.submission.dockerfile import Instruction, Stage

_WHERE = "`final` looks at the final stage and what it starts from, `any` at every stage."


class _Rules(Model):
    """What there must and must not be."""

    required: tuple[str, ...]
    forbidden: tuple[str, ...]
    stage: Literal["final", "any"] = field(default="any", description=_WHERE)

    def __post_init__(self) -> None:
        if not self.required and not self.forbidden:
            raise ValueError("it asks for nothing; give it required, forbidden or both")

    @property
    def _there(self) -> str:
        return " in the final stage" if self.stage == "final" else ""

    def _done(self, parsed: Parsed) -> list[Instruction]:
        """What is really carried out for the final image: nothing else fulfils a wish."""
        stages = parsed.chain(parsed.final) if self.stage == "final" else parsed.used
        return [done for stage in stages for done in (stage.from_instruction, *parsed.carried_out(stage))]

    def _written(self, parsed: Parsed) -> list[Instruction]:
        """All that is written there, carried out or not, and what ONBUILD triggers apart."""
        stages: Sequence[Stage] = parsed.chain(parsed.final) if self.stage == "final" else parsed.stages
        written = [*parsed.global_args] if self.stage == "any" else []
        for stage in stages:
            written += [stage.from_instruction, *stage.instructions, *stage.triggers]
        return sorted(written, key=lambda each: each.line)


class Instructions(_Rules):
    """Instructions that must or must not be there."""

    required: tuple[InstructionPattern, ...] = field(
        default=(), description="Patterns; for each there is an instruction that the final image needs."
    )
    forbidden: tuple[InstructionPattern, ...] = field(
        default=(), description="Patterns; no instruction is like one of them."
    )

    def expectation(self) -> Iterator[str]:
        """What is expected, in words."""
        if self.required:
            yield f"{listed(self.required)}{self._there}"
        if self.forbidden:
            yield f"no {listed(self.forbidden, last='or')}{self._there}"

    def faults(self, parsed: Parsed) -> Iterator[Fault]:
        """What is not as it should be."""
        written = self._written(parsed)
        for pattern in self.forbidden:
            for each in written:
                if parse(pattern).fits(each):
                    yield f"line {each.line} is `{shown(each.text, 80)}`", each.line
        done = self._done(parsed)
        for pattern in self.required:
            if not any(parse(pattern).fits(each) for each in done):
                yield f"no instruction is like `{pattern}`{self._there}", parsed.final.line


class Commands(_Rules):
    """What the commands of RUN must or must not contain."""

    required: tuple[Regex, ...] = field(
        default=(), description="Regular expressions; each is found in the command of a RUN."
    )
    forbidden: tuple[Regex, ...] = field(
        default=(), description="Regular expressions; none is found in the command of a RUN."
    )

    def expectation(self) -> Iterator[str]:
        """What is expected, in words."""
        if self.required:
            yield f"RUN with {listed(self.required)}{self._there}"
        if self.forbidden:
            yield f"no RUN with {listed(self.forbidden, last='or')}{self._there}"

    def faults(self, parsed: Parsed) -> Iterator[Fault]:
        """What is not as it should be; raises ``RubricError`` for an expression that takes too long."""
        for pattern in self.forbidden:
            yield from (_has(run, pattern) for run in _matching(pattern, self._written(parsed)))
        for pattern in self.required:
            if not _matching(pattern, self._done(parsed)):
                yield f"no RUN has `{pattern}`{self._there}", parsed.final.line


def _matching(pattern: str, instructions: Sequence[Instruction]) -> list[Instruction]:
    runs = [each for each in instructions if each.keyword == "RUN"]
    # A process for nothing is a hundredth of a second for nothing.
    found = found_in(pattern, [command(run) for run in runs]) if runs else []
    return [run for run, fits in zip(runs, found, strict=True) if fits]


def _has(run: Instruction, pattern: str) -> Fault:
    return f"line {run.line} has `{pattern}`: `{shown(f'RUN {command(run)}', 120)}`", run.line
