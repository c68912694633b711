"""How many stages there are, what they are called, and what crosses between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.model import Model, field
from grader.course.suggest import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.submission.dockerfile import CopyFrom, Stage
    from grader.submission.dockerfile import Dockerfile as Parsed

#: What is wrong, in words, and the Dockerfile line concerned.
Fault = tuple[str, int | None]


class Stages(Model):
    """How many stages there are, and what they are called."""

    min: int = field(default=1, ge=1, description="The fewest stages.")
    max: int | None = field(default=None, ge=1, description="The most stages.")
    named: bool = field(default=False, description="Every stage that another one uses has a name, and is used by it.")
    names: tuple[str, ...] = field(default=(), description="Names that stages have.")
    final_from: str = field(default="", description="The stage that the final one starts from: `FROM NAME`.")

    def __post_init__(self) -> None:
        if self.max is not None and self.max < self.min:
            raise ValueError("max is less than min; make it more")

    def expectation(self) -> Iterator[str]:
        """What is expected, in words."""
        count = f"{self.min}" if self.min == self.max else f"{self.min} to {self.max}" if self.max else f"{self.min}"
        least = "at least " if self.max is None else ""
        if self.min > 1 or self.max is not None or not (self.named or self.names or self.final_from):
            yield f"{least}{count} stage{'s' * (count != '1')}"
        if self.named:
            yield "each stage with a name and used by it"
        if self.names:
            yield f"stages named {listed(self.names)}"
        if self.final_from:
            yield f"a final stage from the stage `{self.final_from}`"

    def faults(self, parsed: Parsed) -> Iterator[Fault]:
        """What is not as it should be."""
        yield from self._count_faults(parsed)
        if self.named:
            yield from _unnamed(parsed)
        yield from self._name_faults(parsed)
        if self.final_from and self.final_from.lower() not in [each.name for each in parsed.chain(parsed.final)[:-1]]:
            yield f"the final stage starts from {parsed.final.base}", parsed.final.line

    def _count_faults(self, parsed: Parsed) -> Iterator[Fault]:
        used = parsed.used
        idle = [stage for stage in parsed.stages if stage not in used]
        count = f"{len(used)} stage{'s' * (len(used) != 1)}"
        if len(used) < self.min:
            aside = f", and {len(idle)} that the final image takes nothing from" if idle else ""
            yield count + aside, idle[0].line if idle else parsed.final.line
        if self.max is not None and len(used) > self.max:
            yield count, used[self.max].line

    def _name_faults(self, parsed: Parsed) -> Iterator[Fault]:
        there = [stage.name for stage in parsed.stages if stage.name]
        for name in self.names:
            if name.lower() not in there:
                others = f"the names are {listed(there)}" if there else "none has a name"
                yield f"no stage is named `{name}`: {others}", parsed.final.line


def _unnamed(parsed: Parsed) -> Iterator[Fault]:
    """Stages that others use and that have no name, or that are used by number although they have one."""
    for stage in parsed.used:
        if stage.name is None and stage.index != parsed.final.index:
            yield f"the stage of line {stage.line} has no name", stage.line
    for stage in parsed.used:
        for copy in _copies(parsed, stage):
            if copy.stage is not None and copy.source.isdigit():
                yield f"line {copy.line} takes from stage {copy.source} by its number", copy.line


def crossing(parsed: Parsed) -> list[tuple[CopyFrom, Stage]]:
    """Where the final stage, or one that it starts from, takes files out of another stage, and out of which."""
    chain = parsed.chain(parsed.final)
    own = {stage.index for stage in chain}
    copies = (copy for stage in chain for copy in _copies(parsed, stage))
    return [(copy, parsed.stages[copy.stage]) for copy in copies if copy.stage is not None and copy.stage not in own]


def crossing_faults(parsed: Parsed, wanted: tuple[str, ...]) -> Iterator[Fault]:
    """Stages by name from which the final image takes nothing, although it should."""
    sources = crossing(parsed)
    for name in wanted:
        if any(stage.name == name.lower() for _, stage in sources):
            continue
        if not any(stage.name == name.lower() for stage in parsed.stages):
            yield f"no stage is named `{name}`", parsed.final.line
        elif sources:
            others = listed(dict.fromkeys(copy.source for copy, _ in sources))
            yield f"the final image takes from {others}, nothing from `{name}`", sources[0][0].line
        else:
            yield f"the final image takes nothing from `{name}`", parsed.final.line


def _copies(parsed: Parsed, stage: Stage) -> list[CopyFrom]:
    return [copy for each in parsed.carried_out(stage) for copy in parsed.copies_of(each)]
