"""What does the Dockerfile itself say?"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from grader.checks.base import Check, Outcome, failed, passed
from grader.submission.policy import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.submission.dockerfile import CopyFrom, Stage
    from grader.submission.dockerfile import Dockerfile as Parsed


class Stages(BaseModel):
    """How many stages there are, and whether those that others use have names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int = Field(default=1, ge=1, description="The fewest stages.")
    max: int | None = Field(default=None, ge=1, description="The most stages.")
    named: bool = Field(default=False, description="Every stage that another one uses has a name, and is used by it.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError("max is less than min; make it more")
        return self


class Dockerfile(Check):
    """Stages, what crosses between them, and the image that the final one starts from.

    Only stages that the final image really needs are counted: one that nothing is taken from is decoration.
    """

    example: ClassVar[str] = """\
- id: two-stages
  check: dockerfile
  stages: {min: 2, named: true}
  copies_from_stage: true
  final_base: ["python:3.11-slim"]
  points: 15
"""

    reason: ClassVar[str] = "Stages keep what builds the app apart from what runs it."
    advice: ClassVar[str] = "`FROM IMAGE AS name` starts and names a stage; `COPY --from=name` fetches from it."

    check: Literal["dockerfile"]
    stages: Stages | None = Field(default=None, description="Number and names of the stages.")
    copies_from_stage: bool = Field(
        default=False, description="The final image takes files from an earlier stage, by COPY --from or a mount."
    )
    final_base: tuple[str, ...] = Field(
        default=(), description="What the final stage may start from; `*` and `?` as in a shell."
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.stages is None and not self.copies_from_stage and not self.final_base:
            raise ValueError("dockerfile asks for nothing; give it stages, copies_from_stage or final_base")
        return self

    def run(self, subject: Subject) -> Outcome:
        """Fails with the first thing that is not as it should be."""
        parsed = subject.dockerfile
        expected = self.expectation()
        for got, line in self._faults(parsed):
            return failed(expected=expected, got=got, line=line)
        used = _used(parsed)
        return passed(
            expected=expected,
            got=f"{len(used)} stage{'s' * (len(used) != 1)}; the last starts from {parsed.base_image(parsed.final)}",
            line=parsed.final.line,
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = []
        if self.stages:
            least, most = self.stages.min, self.stages.max
            count = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            parts.append(
                f"{count} stage{'s' * (count != '1')}{', each with a name and used by it' if self.stages.named else ''}"
            )
        if self.copies_from_stage:
            parts.append("files taken from an earlier stage")
        if self.final_base:
            parts.append(f"a final stage from {' or '.join(self.final_base)}")
        return "; ".join(parts)

    def _faults(self, parsed: Parsed) -> Iterator[tuple[str, int | None]]:
        if self.stages:
            yield from _stage_faults(parsed, self.stages)
        if self.copies_from_stage and not _crossing(parsed):
            yield "the final image takes nothing from an earlier stage", parsed.final.line
        base = parsed.base_image(parsed.final)
        if self.final_base and not any(_is_image(base, wanted) for wanted in self.final_base):
            yield f"the final stage starts from {base}", parsed.chain(parsed.final)[0].line


def _is_image(reference: str, wanted: str) -> bool:
    """Whether ``reference`` is an image as ``wanted`` names it; `python*` is one of any tag."""
    pattern = normalise(wanted)
    any_tag = "*" in wanted and ":" not in wanted.rpartition("/")[2] and "@" not in wanted
    return fnmatchcase(normalise(reference), pattern.removesuffix(":latest") + ":*" if any_tag else pattern)


def _used(parsed: Parsed) -> list[int]:
    """The stages that the final image needs, itself among them."""
    seen: set[int] = set()
    todo = [parsed.final.index]
    while todo:
        stage = parsed.stages[todo.pop()]
        seen.add(stage.index)
        needs = [stage.parent, *(copy.stage for copy in _copies(parsed, stage))]
        todo += [index for index in needs if index is not None and index not in seen]
    return sorted(seen)


def _copies(parsed: Parsed, stage: Stage) -> list[CopyFrom]:
    """What the build of ``stage`` takes: its own ONBUILD does nothing yet, that of the stage it starts from does."""
    found = [copy for copy in parsed.copies(stage) if copy.line not in _trigger_lines(stage)]
    if stage.parent is not None:
        parent = parsed.stages[stage.parent]
        found += [copy for copy in parsed.copies(parent) if copy.line in _trigger_lines(parent)]
    return found


def _trigger_lines(stage: Stage) -> set[int]:
    return {instruction.line for instruction in stage.instructions if instruction.trigger}


def _crossing(parsed: Parsed) -> list[CopyFrom]:
    """Where the final stage, or one that it starts from, takes files out of another stage."""
    chain = parsed.chain(parsed.final)
    own = {stage.index for stage in chain}
    copies = (copy for stage in chain for copy in _copies(parsed, stage))
    return [copy for copy in copies if copy.stage is not None and copy.stage not in own]


def _stage_faults(parsed: Parsed, wanted: Stages) -> Iterator[tuple[str, int | None]]:
    used = _used(parsed)
    idle = [stage for stage in parsed.stages if stage.index not in used]
    count = f"{len(used)} stage{'s' * (len(used) != 1)}"
    if len(used) < wanted.min:
        aside = f", and {len(idle)} that the final image takes nothing from" if idle else ""
        yield count + aside, idle[0].line if idle else parsed.final.line
    if wanted.max is not None and len(used) > wanted.max:
        yield count, parsed.stages[used[wanted.max]].line
    if wanted.named:
        yield from _unnamed(parsed, used)


def _unnamed(parsed: Parsed, used: list[int]) -> Iterator[tuple[str, int | None]]:
    """Stages that others use and that have no name, or that are used by number although they have one."""
    for index in used:
        stage = parsed.stages[index]
        if stage.name is None and index != parsed.final.index:
            yield f"the stage of line {stage.line} has no name", stage.line
    for index in used:
        for copy in _copies(parsed, parsed.stages[index]):
            if copy.stage is not None and copy.source.isdigit():
                yield f"line {copy.line} takes from stage {copy.source} by its number", copy.line
