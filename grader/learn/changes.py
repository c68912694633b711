"""What changed since the last run, for `grader watch`; one statement a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.learn.watch import Run
    from grader.result import CheckResult, GradeResult, ImageResult, LayerResult


def changes(now: Run, before: Run | None) -> list[str]:
    """What is otherwise than in the run before: points, checks, size, layers."""
    if before is None:
        return ["There is no earlier run to compare with."]
    found = [*_points(now.result, before.result), *_checks(now.result, before.result)]
    old, new = before.result.image, now.result.image
    if old and new:
        found += [*_size(new, old), *_layers(new, old)]
    elif old or new:
        found.append("There is an image now." if new else "There is no image any more.")
    return found or ["Nothing changed: the same points, the same size, the same layers."]


def _points(now: GradeResult, before: GradeResult) -> Iterator[str]:
    if now.score != before.score:
        told = ["not graded" if score is None else f"{score:g}" for score in (before.score, now.score)]
        yield f"Points: {told[0]} -> {told[1]} of {now.max_score:g}."


def _checks(now: GradeResult, before: GradeResult) -> Iterator[str]:
    known: dict[str, CheckResult] = {check.id: check for check in before.checks}
    for check in now.checks:
        earlier = known.get(check.id)
        if earlier and earlier.status is not check.status:
            yield f"{check.title}: {earlier.status.value} -> {check.status.value}."


def _size(now: ImageResult, before: ImageResult) -> Iterator[str]:
    if now.size != before.size:
        yield f"Size: {human_size(before.size, unlike=now.size)} -> {human_size(now.size, unlike=before.size)}."


def _layers(now: ImageResult, before: ImageResult) -> Iterator[str]:
    """Layers are told apart by their instruction: their lines move with every line that is added above them."""
    old, new = _by_instruction(before), _by_instruction(now)
    for instruction in dict.fromkeys([*old, *new]):
        sizes = [human_size(layers[instruction].size) if instruction in layers else "" for layers in (old, new)]
        if not sizes[0]:
            yield f"New layer: {instruction}, {sizes[1]}."
        elif not sizes[1]:
            yield f"Layer gone: {instruction}, {sizes[0]}."
        elif old[instruction].size != new[instruction].size:
            yield f"Layer: {instruction}, {sizes[0]} -> {sizes[1]}."


def _by_instruction(image: ImageResult) -> dict[str, LayerResult]:
    return {layer.instruction: layer for layer in image.layers}
