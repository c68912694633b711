"""What a page draws: bars as places and widths in percent, so that a template has nothing to work out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.result import BuildResult, GradeResult, ImageResult, LayerResult, StepResult

#: Percent of a bar's width that can still be seen.
_THINNEST = 0.35
#: Colours that layers take in turn; the style has one for each.
_HUES = 6


@dataclass(frozen=True)
class Bar:
    """A part of a bar, from ``x`` on, ``width`` wide, in percent of the whole; ``kind`` is its style."""

    x: float
    width: float
    kind: str
    name: str = ""


@dataclass(frozen=True)
class LayerRow:
    """A layer and its bar, beside those of the others; ``hue`` is its colour in both pictures, the largest first."""

    layer: LayerResult
    hue: int
    bars: tuple[Bar, ...]
    share: float


@dataclass(frozen=True)
class Layers:
    """The image to scale, what the Dockerfile added enlarged, and the same layer by layer.

    ``limit`` is what a check allows at most, in bytes, at ``limit_x`` percent; ``added_x`` is where the part begins
    that is enlarged, and ``added_end`` where it ends.
    """

    whole: tuple[Bar, ...]
    added: tuple[Bar, ...]
    rows: tuple[LayerRow, ...]
    added_size: int
    added_x: float
    added_end: float
    limit: int | None
    limit_x: float


@dataclass(frozen=True)
class Moment:
    """A step on the build's time line; ``bar`` is None where the engine does not tell times."""

    step: StepResult
    bar: Bar | None
    failed: bool


@dataclass(frozen=True)
class Score:
    """The points: those that were earned from the left, and where one passes."""

    bars: tuple[Bar, ...]
    pass_x: float | None


def score(result: GradeResult) -> Score:
    """Each check's points, earned ones first, in the order of the checks."""
    whole = max(result.max_score, sum(check.score or 0 for check in result.checks)) or 1
    parts = [(check.score or 0.0, "earned", check.title) for check in result.checks if check.score]
    for check in result.checks:
        lost = check.max_score - (check.score or 0.0)
        if lost > 0 and not check.bonus:
            parts.append((lost, "lost" if check.status is Status.FAILED else "open", check.title))
    passes = result.pass_score / whole * 100 if 0 < result.pass_score <= whole else None
    return Score(tuple(_stacked(parts, whole, thinnest=0)), passes)


def layers(result: GradeResult) -> Layers | None:
    """None when there is no image."""
    image = result.image
    if image is None:
        return None
    limit = _limit(result)
    scale = max(image.size, limit or 0) or 1
    own = max(0, image.size - image.base_size)
    base = (image.base_size, "base", image.base or "the base image")
    added = (own - image.wasted, "own", "what the Dockerfile added")
    whole = tuple(_stacked([base, added, (image.wasted, "wasted", "wasted")], scale))
    rows = tuple(_rows(image))
    parts = [part for row in rows for part in _parts(row.layer, row.hue)]
    return Layers(
        whole=whole,
        added=tuple(_stacked(parts, own or 1)),
        rows=rows,
        added_size=own,
        added_x=image.base_size / scale * 100,
        added_end=image.size / scale * 100,
        limit=limit,
        limit_x=(limit or 0) / scale * 100,
    )


def moments(build: BuildResult | None) -> list[Moment]:
    """The steps in the order in which they started."""
    if build is None:
        return []
    ends = [(step.started or 0) + (step.duration or 0) for step in build.steps]
    whole = max([*ends, 1e-9])
    ordered = sorted(build.steps, key=lambda step: (step.started is None, step.started or 0, step.line or 0))
    return [Moment(step, _bar(step, whole), bool(step.error)) for step in ordered]


def _limit(result: GradeResult) -> int | None:
    """What the first check of the size allows, if it says so."""
    for check in result.checks:
        limit = check.evidence.get("max")
        if check.check == "size" and isinstance(limit, int) and limit > 0:
            return limit
    return None


def _rows(image: ImageResult) -> Iterator[LayerRow]:
    largest = max((layer.size for layer in image.layers), default=0) or 1
    own = sum(layer.size for layer in image.layers) or 1
    by_size = sorted(range(len(image.layers)), key=lambda index: -image.layers[index].size)
    for index, layer in enumerate(image.layers):
        hue = by_size.index(index) % _HUES
        yield LayerRow(layer, hue, tuple(_stacked(_parts(layer, hue), largest)), layer.size / own)


def _parts(layer: LayerResult, hue: int) -> list[tuple[float, str, str]]:
    name = f"line {layer.line}" if layer.line is not None else "a line that cannot be told"
    kept = layer.size - layer.wasted
    return [(kept, f"hue-{hue}", name), (layer.wasted, "wasted", f"{name}, wasted")]


def _stacked(parts: Sequence[tuple[float, str, str]], whole: float, thinnest: float = _THINNEST) -> Iterator[Bar]:
    """The parts one after the other; one that is there is never too thin to be seen."""
    x = 0.0
    for amount, kind, name in parts:
        if amount <= 0:
            continue
        width = amount / whole * 100
        seen = max(width, thinnest)
        yield Bar(round(min(x, 100 - seen), 3), round(min(seen, 100), 3), kind, name)
        x += width


def _bar(step: StepResult, whole: float) -> Bar | None:
    if step.started is None or step.duration is None:
        return None
    width = max(step.duration / whole * 100, _THINNEST * 2)
    kind = "lost" if step.error else "cached" if step.cached else "ran"
    return Bar(round(min(step.started / whole * 100, 100 - width), 3), round(width, 3), kind)
