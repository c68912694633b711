"""Stand-ins: images with a real base image's name and likeness, built from Debian's packages.

They serve where no image registry is in reach. Each is one layer over its parent (``debian:bookworm-slim`` under
``python:3.11-slim`` under ``python:3.11``), so that what two of them share is stored once. A stand-in is built under a
name of our own and takes the real image's name last, when it is whole.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk
from grader.engine.standin.recipe import RECIPES, full_name, recipe_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine

__all__ = [
    "LABEL",
    "LABEL_RECIPE",
    "RECIPES",
    "full_name",
    "has_the_name",
    "inspect",
    "is_current",
    "is_stand_in",
    "present",
    "recipe_for",
    "remove",
]

LABEL = "grader.stand-in"
LABEL_RECIPE = "grader.stand-in.recipe"


def inspect(engine: Engine, name: str) -> dict[str, Any] | None:
    """What the engine says of an image, None when it has none of that name."""
    client: Any = engine.client
    try:
        found: dict[str, Any] = client.inspect_image(name)
    except sdk.errors.ImageNotFound:
        return None
    return found


def is_stand_in(image: Mapping[str, Any], reference: str) -> bool:
    """Whether what the engine says of an image (``inspect``) is a stand-in for this reference.

    An image that a learner built on a stand-in inherits the label, and has another name.
    """
    recipe = recipe_for(reference)
    return recipe is not None and _labels(image).get(LABEL) == recipe.reference


def is_current(image: Mapping[str, Any], reference: str) -> bool:
    """Whether a stand-in was made by the recipe as it is today."""
    recipe = recipe_for(reference)
    return recipe is not None and _labels(image).get(LABEL_RECIPE) == recipe.version


def present(engine: Engine) -> list[str]:
    """The references that a stand-in holds the name of."""
    return [reference for reference in RECIPES if has_the_name(engine, reference)]


def remove(engine: Engine, reference: str, *, keep: str = "") -> bool:
    """Take a reference's stand-ins off the engine, but for the one of the name ``keep``.

    What a container still uses stays until that is gone. A real image of that name is left alone. Returns whether
    anything was removed.
    """
    recipe = recipe_for(reference)
    if recipe is None:
        return False
    # A learner's image inherits the label from its base: the name has to be one of ours as well.
    images = engine.client.images(filters={"label": f"{LABEL}={recipe.reference}"})
    names = [name for image in images for name in image.get("RepoTags") or [] if recipe.is_name(name) and name != keep]
    if not keep and has_the_name(engine, reference):
        names.append(full_name(reference))
    for name in names:
        with suppress(sdk.errors.ImageNotFound, sdk.errors.APIError):
            engine.client.remove_image(name)
    return bool(names)


def has_the_name(engine: Engine, reference: str) -> bool:
    """Whether a stand-in goes by the real image's name."""
    image = inspect(engine, full_name(reference))
    return image is not None and is_stand_in(image, reference)


def _labels(image: Mapping[str, Any]) -> Mapping[str, str]:
    return (image.get("Config") or {}).get("Labels") or {}
