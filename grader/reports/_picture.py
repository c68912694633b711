"""What an image weighs and which line put it there, as bars of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.reports._text import last_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.result import ImageResult

_BAR = 32
_INSTRUCTION = 60
#: An image may have 127 layers; those that weigh least are told together.
_MOST = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def picture(image: ImageResult) -> list[str]:
    """Lines of one width of label, bar and size: the base image, each layer of the learner's own, the whole."""
    told = set(sorted(range(len(image.layers)), key=lambda index: -image.layers[index].size)[:_MOST])
    rows = [("base image", image.base_size, "")]
    rows += [
        (f"line {layer.line}" if layer.line else "layer", layer.size, _shown(layer.instruction, layer.wasted))
        for index, layer in enumerate(image.layers)
        if index in told
    ]
    rest = [layer.size for index, layer in enumerate(image.layers) if index not in told]
    if rest:
        rows.append((f"{len(rest)} more", sum(rest), ""))
    rows.append(("together", image.size, ""))
    return _drawn(rows, max(1, image.size))


def _drawn(rows: Sequence[tuple[str, int, str]], whole: int) -> list[str]:
    width = max(len(label) for label, _, _ in rows)
    sizes = [human_size(size) for _, size, _ in rows]
    digits = max(map(len, sizes))
    return [
        f"{label:<{width}}  {_bar(size, whole):<{_BAR}}  {text:>{digits}}  {note}".rstrip()
        for (label, size, note), text in zip(rows, sizes, strict=True)
    ]


def _bar(size: int, whole: int) -> str:
    """A bar in eighths of a character; what is there at all is seen."""
    eighths = min(_BAR * 8, max(round(size * _BAR * 8 / whole), 1 if size > 0 else 0))
    full, part = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[part] if part else "")


def _shown(instruction: str, wasted: int) -> str:
    text = " ".join(last_state(instruction).split())
    text = text if len(text) <= _INSTRUCTION else f"{text[: _INSTRUCTION - 1]}…"
    return f"{text}  ({human_size(wasted)} of it wasted)" if wasted else text
