"""Whether instructions stand in the order that lets the cache be used."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from grader.checks._instructions import parse
from grader.checks._text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.checks._stages import Fault
    from grader.submission.dockerfile import Dockerfile, Instruction, Stage


def order_faults(parsed: Dockerfile, order: Sequence[str]) -> Iterator[Fault]:
    """Where the first matches of the patterns do not come in this order.

    Looked at is each stage that does what a RUN of the patterns says, together with what it starts from and what
    starts from it: a stage beside it in which all is well does not make up for it.
    """
    at_work = [stage for stage in parsed.used if _does(parsed, stage, order)]
    if not at_work:
        yield f"no instruction is like `{_decisive(order)[0]}`", parsed.final.line
    chains = [parsed.chain(stage) for stage in parsed.used]
    told: set[Fault] = set()
    for stage in at_work:
        lines = [_instructions(parsed, chain) for chain in chains if stage in chain]
        most = max(len(_places(line, order)) for line in lines)
        # Less is done in a stage that stops on the way.
        for line in (each for each in lines if len(_places(each, order)) == most):
            found = [*_missing(line, order, stage), *_swapped(line, order)]
            yield from (fault for fault in found if fault not in told)
            told.update(found)


def _decisive(order: Sequence[str]) -> list[str]:
    """The patterns that say which stage is meant: those of a RUN, or all when there is none."""
    return [each for each in order if parse(each).keyword == "RUN"] or list(order)


def _does(parsed: Dockerfile, stage: Stage, order: Sequence[str]) -> bool:
    return any(parse(each).fits(done) for each in _decisive(order) for done in parsed.carried_out(stage))


def _instructions(parsed: Dockerfile, chain: Sequence[Stage]) -> list[Instruction]:
    return [done for stage in chain for done in parsed.carried_out(stage)]


def _places(line: Sequence[Instruction], order: Sequence[str]) -> dict[str, int]:
    """Pattern -> index of the first instruction that fits it."""
    firsts = {each: next((place for place, done in enumerate(line) if parse(each).fits(done)), None) for each in order}
    return {each: place for each, place in firsts.items() if place is not None}


def _missing(line: Sequence[Instruction], order: Sequence[str], stage: Stage) -> Iterator[Fault]:
    there = _places(line, order)
    for each in order:
        if each not in there:
            yield f"nothing like `{each}` in the stage of line {stage.line}", stage.line


def _swapped(line: Sequence[Instruction], order: Sequence[str]) -> Iterator[Fault]:
    """The first pair that stands the wrong way round."""
    there = [(each, place) for each, place in _places(line, order).items()]
    for (first, before), (second, after) in pairwise(there):
        early, late = line[after], line[before]
        if after == before:
            yield f"line {early.line} is `{first}` and `{second}` in one: `{shown(early.text, 80)}`", early.line
            return
        if after < before:
            yield (
                f"line {early.line} `{shown(early.text, 80)}` comes before line {late.line} `{shown(late.text, 80)}`",
                early.line,
            )
            return
