"""Where an image's bytes are, as bars of text: beside an earlier image and its base, and layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.reports._text import clipped, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.reports import Telling
    from grader.result import ImageResult, LayerResult

#: Cells of the longest bar, where there is room for it, and of the shortest that is worth drawing.
_BAR, _SHORTEST = 32, 4
#: Layers that are shown without `--verbose`: the largest, in their order.
_LAYERS = 6


def sizes(image: ImageResult, telling: Telling, width: int) -> list[str]:
    """The lines; none is longer than ``width`` cells."""
    before = [(name, size, "") for name, size in telling.before]
    told = [f"{human_size(image.size - image.base_size)} over its base"] if image.base_size else []
    told += [f"{human_size(image.wasted)} wasted"] if image.wasted else []
    base = [("its base", image.base_size, "")] if image.base_size else []
    shown = largest(image.layers, len(image.layers) if telling.verbose else _LAYERS)
    layers = [(place(layer), layer.size, one_line(layer.instruction)) for layer in shown]
    lines = _bars({"Size": [*before, *base, ("image", image.size, ", ".join(told))], "Layers": layers}, width)
    if rest := [layer.size for layer in image.layers if layer.size and layer not in shown]:
        lines.append(_fitted(f"{'':8}and {len(rest)} more with {human_size(sum(rest))}", width))
    return lines


def place(layer: LayerResult) -> str:
    """Where a layer comes from."""
    return "no line" if layer.line is None else f"line {layer.line}"


def largest(layers: Sequence[LayerResult], most: int) -> list[LayerResult]:
    """The ``most`` largest of those that hold anything, in their order."""
    kept = sorted((layer for layer in layers if layer.size), key=lambda layer: -layer.size)[:most]
    return [layer for layer in layers if layer in kept]


def _bars(groups: Mapping[str, Sequence[tuple[str, int, str]]], width: int) -> list[str]:
    """One line a row: its name, a bar, its size, and what there is to say of it. Each group has a scale of its own."""
    rows = [row for group in groups.values() for row in group]
    names = max(len(name) for name, _, _ in rows)
    told = max(len(human_size(size)) for _, size, _ in rows)
    # Where it is narrow, the bar goes before the words do.
    room = width - 8 - names - told - 6 - max(min(len(words), 36) for _, _, words in rows)
    bar = min(_BAR, room) if room >= _SHORTEST else 0
    lines = []
    for title, group in groups.items():
        for index, (name, size, words) in enumerate(group):
            drawn = f"  {_drawn(size, max(size for _, size, _ in group), bar):<{bar}}" if bar else ""
            line = f"{'' if index else title:<8}{name:<{names}}{drawn}  {human_size(size):>{told}}  {words}"
            lines.append(_fitted(line, width))
    return lines


def _drawn(size: int, largest_size: int, bar: int) -> str:
    """Whatever is more than nothing can be seen."""
    return "#" * max(1, round(bar * size / largest_size)) if size > 0 else ""


def _fitted(line: str, width: int) -> str:
    fits = clipped(line, width)
    return (fits if fits == line else f"{clipped(line, width - 1)}…").rstrip()
