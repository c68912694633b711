"""How many layers are there, and what do they carry that nobody can see?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks._text import shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.course.units import ByteSize, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.checks.subject import Subject
    from grader.engine.content.origin import Origin
    from grader.engine.image import Image, Waste
    from grader.result import LayerResult

#: Pairs of instructions that are told in words; evidence holds all.
_TOLD = 3
#: Paths that are named of each pair of instructions, the biggest first.
_PATHS = 5


@dataclass(frozen=True)
class Pair:
    """Two instructions, the bytes that one added and the other hid, and the files, the biggest first."""

    added: Origin
    hidden: Origin
    size: int
    files: tuple[Waste, ...]


class Layers(Check):
    """The number of layers, and the bytes wasted in them: added by one instruction, deleted or overwritten by a later.

    What a layer brought still ships when a later one deletes it. Only what the Dockerfile's own instructions added is
    counted; to delete or change files of the base image wastes nothing that the learner could save.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: nothing-wasted
  check: layers
  max_wasted: 1MB
  max: 12
  max_own: 6
  points: 15
"""

    reason: ClassVar[str] = "A layer never gets smaller: what a later line deletes is hidden, and pulled all the same."
    advice: ClassVar[str] = (
        "Delete a file in the RUN that made it. What only one RUN needs, let it borrow: "
        "`RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels ...`."
    )

    looks_at: ClassVar[str] = (
        "How many layers the image has, and which bytes ship although nobody can see them: added by one line, "
        "deleted or overwritten by a later one."
    )

    check: Literal["layers"]
    max: int | None = field(default=None, ge=1, description="The most layers, those of the base image among them.")
    max_own: int | None = field(default=None, ge=0, description="The most layers that the Dockerfile may add.")
    max_wasted: ByteSize | None = field(
        default=None, description="The most bytes that a later instruction may delete or overwrite again."
    )

    def __post_init__(self) -> None:
        if self.max is None and self.max_own is None and self.max_wasted is None:
            raise ValueError("layers has no limit; give it max, max_own or max_wasted")
        if self.max is not None and self.max_own is not None and self.max_own > self.max:
            raise ValueError("max_own is more than max; make it less")

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Limits are inclusive. The line is the one that added most of what is wasted."""
        image = subject.image
        pairs = _pairs(image)
        got = (
            f"{_count(len(image.layers))}, {len(image.own_layers)} of the Dockerfile's own; "
            f"{human_size(image.wasted, unlike=self.max_wasted)} wasted"
        )
        evidence: dict[str, Any] = {
            "layers": len(image.layers),
            "own_layers": len(image.own_layers),
            "wasted": image.wasted,
            "waste": [_told(pair) for pair in pairs],
        }
        faults = [*self._waste_faults(image, pairs), *self._count_faults(image)]
        if not faults:
            return passed(expected=self.expectation(), got=got, **evidence)
        words = "; ".join(what for what, _ in faults)
        return failed(expected=self.expectation(), got=f"{got}: {words}", line=faults[0][1], **evidence)

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = [f"at most {_count(self.max)}"] if self.max is not None else []
        if self.max_own is not None:
            parts.append(f"at most {self.max_own} of the Dockerfile's own")
        if self.max_wasted is not None:
            parts.append(f"at most {human_size(self.max_wasted)} wasted")
        return ", ".join(parts)

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The number of layers, and what each line adds."""
        return (
            hand.build(self.target),
            f"docker image inspect --format '{{{{len .RootFS.Layers}}}}' {hand.IMAGE}",
            f"docker history --no-trunc --format '{{{{.Size}}}} {{{{.CreatedBy}}}}' {hand.IMAGE}",
        )

    def _waste_faults(self, image: Image, pairs: list[Pair]) -> Iterator[tuple[str, int | None]]:
        left = image.wasted
        for pair in pairs[:_TOLD]:
            if self.max_wasted is None or left <= self.max_wasted:
                return
            left -= pair.size
            yield _words(image, pair), pair.added.line

    def _count_faults(self, image: Image) -> Iterator[tuple[str, int | None]]:
        own = image.own_layers
        too_many = self.max is not None and len(image.layers) > self.max
        if not too_many and (self.max_own is None or len(own) <= self.max_own):
            return
        if not own or (self.max is not None and image.base_count > self.max):
            base = image.origins[0]
            yield f"the base image alone has {image.base_count}", base.line
            return
        streak = _longest_streak(own)
        if len(streak) > 1:
            lines = ", ".join(str(layer.line) for layer in streak)
            yield f"lines {lines} are one {_keyword(streak[0])} after the other", streak[0].line
        else:
            yield "each instruction that changes files adds a layer", own[-1].line


def _pairs(image: Image) -> list[Pair]:
    """Who wasted what together with whom, the worst first."""
    found: dict[tuple[Origin, Origin], list[Waste]] = {}
    for waste in image.waste:
        found.setdefault((waste.added, waste.hidden), []).append(waste)
    pairs = [
        Pair(added, hidden, sum(each.size for each in files), tuple(sorted(files, key=lambda each: -each.size)))
        for (added, hidden), files in found.items()
    ]
    return sorted(pairs, key=lambda pair: -pair.size)


def _told(pair: Pair) -> Mapping[str, Any]:
    return {
        "size": pair.size,
        "added": {"line": pair.added.line, "instruction": pair.added.instruction},
        "hidden": {"line": pair.hidden.line, "instruction": pair.hidden.instruction},
        "files": len(pair.files),
        "paths": [{"path": f"/{each.path}", "size": each.size} for each in pair.files[:_PATHS]],
    }


def _words(image: Image, pair: Pair) -> str:
    there = {each.path in image.files for each in pair.files}
    verb = "deletes or overwrites" if len(there) > 1 else "overwrites" if True in there else "deletes"
    example = f"such as /{shown(pair.files[0].path)}"
    return f"{_where(pair.added)} adds {human_size(pair.size)} that {_where(pair.hidden)} {verb}, {example}"


def _where(origin: Origin) -> str:
    return f"line {origin.line} `{shown(origin.instruction, 80)}`" if origin.line else "an instruction"


def _longest_streak(layers: Iterable[LayerResult]) -> list[LayerResult]:
    """The longest row of the same instruction, which could be one."""
    known = (layer for layer in layers if layer.line)
    return max(([*row] for _, row in groupby(known, key=_keyword)), key=len, default=[])


def _keyword(layer: LayerResult) -> str:
    return layer.instruction.partition(" ")[0].upper()


def _count(number: int) -> str:
    return f"{number} layer{'s' * (number != 1)}"
