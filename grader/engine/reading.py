"""Reads the layers of an image from outside: what each of them adds, changes and hides.

Two readers give the same answer. On an engine of this machine the overlay2 folders are walked; elsewhere the image is
streamed out of the engine (`docker save`), and what has been read once is remembered.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grader.engine import export, overlay, remembered
from grader.engine.layers import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine


def read(engine: Engine, image: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of ``image`` (what the engine's inspect says of it), lowest first.

    Raises ``EngineError`` when the engine cannot give them.
    """
    diff_ids: Sequence[str] = image["RootFS"].get("Layers") or ()
    folders = overlay.folders(engine, image)
    if folders:
        with suppress(overlay.Unreadable):
            return tuple(
                Layer(d, overlay.walk(folder), {}, folder) for d, folder in zip(diff_ids, folders, strict=True)
            )
    known = {diff_id: layer for diff_id in diff_ids if (layer := remembered.recall(diff_id)) is not None}
    if len(known) == len(set(diff_ids)):
        return tuple(known[diff_id] for diff_id in diff_ids)
    layers = export.saved(engine, image["Id"], diff_ids, known)
    for layer in layers:
        remembered.remember(layer)
    return layers


def programs(layer: Layer) -> Mapping[str, str]:
    """The compilers among the files of a layer: path -> what it is (`programs.TEXTS`)."""
    return layer.programs if layer.folder is None else overlay.programs_in(layer.folder, layer.entries)
