"""Reads the layers of an image from outside: what each of them adds, changes and hides.

Two readers give the same answer. On an engine of this machine the overlay2 folders are walked; elsewhere the image is
streamed out of the engine (`docker save`). What has been read once is remembered: of a folder if it is a base image's.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grader.engine.content import export, overlay, remembered
from grader.engine.content.layers import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.engine.content.layers import Entry


def read(engine: Engine, image: Mapping[str, Any], base_count: int = 0) -> tuple[Layer, ...]:
    """The layers of ``image`` (what the engine's inspect says of it), lowest first.

    The lowest ``base_count`` are those of a base image, which every grading reads: what is in them is remembered.
    Raises ``EngineError`` when the engine cannot give them.
    """
    diff_ids: Sequence[str] = image["RootFS"].get("Layers") or ()
    folders = overlay.folders(engine, image)
    if folders:
        with suppress(overlay.Unreadable):
            pairs = enumerate(zip(diff_ids, folders, strict=True))
            return tuple(Layer(d, _entries(d, f, kept=index < base_count), {}, f) for index, (d, f) in pairs)
    known = {diff_id: layer for diff_id in diff_ids if (layer := remembered.recall(diff_id)) is not None}
    if len(known) == len(set(diff_ids)):
        return tuple(known[diff_id] for diff_id in diff_ids)
    layers = export.saved(engine, image["Id"], diff_ids, known)
    for layer in layers:
        remembered.remember(layer)
    return layers


def _entries(diff_id: str, folder: Path, *, kept: bool) -> Mapping[str, Entry]:
    """What is in a layer's folder; to remember what was there takes a sixth of the time of a walk."""
    if not kept:
        return overlay.walk(folder)
    # Not by its content alone: another engine may keep it with other owners (user namespaces).
    name = f"{diff_id} {folder}"
    known = remembered.recall_entries(name)
    if known is None:
        known = overlay.walk(folder)
        remembered.remember_entries(name, known)
    return known


def programs(layer: Layer) -> Mapping[str, str]:
    """The compilers among the files of a layer: path -> what it is (`programs.TEXTS`)."""
    return layer.programs if layer.folder is None else overlay.programs_in(layer.folder, layer.entries)
