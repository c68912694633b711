"""Which steps of a Podman build came from its cache, proved by the images that the engine has.

Buildah says `--> Using cache IMAGE`, and a RUN can print the same. It is believed when that image's history is that of
the stage's base image and then the instructions of the stage up to this one: such an image was there before the step,
so that the step had no need to run. An image that the step itself made proves nothing wrong, for nobody can name it
before it is made; its id is a digest that takes in the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile
from typing import TYPE_CHECKING, Any

import requests
from docker.errors import APIError

from grader.engine.api.client import has

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.connect import Engine

_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)

#: What made each layer and when (seconds since 1970), newest first.
_History = list[tuple[str, int]]


@dataclass(frozen=True)
class Claim:
    """A step as the text of the build tells it: ``below`` counts from FROM, which is -1.

    ``image`` is the one that it is said to have come from, or empty.
    """

    stage: int
    below: int
    text: str
    image: str


class Proofs:
    """Looks at one build; asks the engine twice a stage at most."""

    def __init__(self, engine: Engine, claims: Sequence[Claim], *, cache: bool) -> None:
        """``claims`` are in the order in which they were told; without ``cache`` nothing can have come from it."""
        self._engine = engine
        self._claims = claims
        self._cache = cache
        self._named: dict[str, _History | None] = {}

    def states(self) -> list[bool | None]:
        """For each claim whether its step came from the cache; None where that is said but not proved.

        A base image is never built, so FROM counts as cached.
        """
        if not _in_order(self._claims):
            return [True if claim.below < 0 else None for claim in self._claims]
        stages = groupby(self._claims, key=lambda claim: claim.stage)
        return [state for _, claims in stages for state in self._stage(list(claims))]

    def _stage(self, claims: list[Claim]) -> list[bool | None]:
        first, steps = claims[0], claims[1:]
        # Whatever comes after a step that ran has run, too.
        cached = list(takewhile(lambda claim: claim.image, steps)) if self._cache else []
        proved = self._is_proved(first, cached)
        if proved and len(cached) == len(steps):
            self._name(first, cached)
        told: list[bool | None] = [None if self._cache and claim.image else False for claim in steps[len(cached) :]]
        return [True, *([proved or None] * len(cached)), *told]

    def _is_proved(self, first: Claim, cached: list[Claim]) -> bool:
        if not cached:
            return True
        base = self._base(first)
        history = self._history(cached[-1].image)
        if base is None or history is None or len(history) < len(cached) or history[len(cached) :] != base:
            return False
        made = [created_by for created_by, _ in history[: len(cached)]]
        return all(_makes(one, claim.text) for one, claim in zip(reversed(made), cached, strict=True))

    def _base(self, first: Claim) -> _History | None:
        match = _FROM.match(first.text)
        if not match or first.below >= 0:
            return None
        image = match["image"]
        if image == "scratch":
            return []
        if image.casefold() in self._named:
            return self._named[image.casefold()]
        return self._history(image)

    def _name(self, first: Claim, cached: list[Claim]) -> None:
        match = _FROM.match(first.text)
        if match and match["name"]:
            self._named[match["name"].casefold()] = self._history(cached[-1].image) if cached else self._base(first)

    def _history(self, image: str) -> _History | None:
        client: Any = self._engine.client
        try:
            layers = has(client.history(image), None, "the history of an image")
            return [(str(layer["CreatedBy"]), int(layer["Created"])) for layer in layers]
        except (APIError, requests.RequestException, KeyError, TypeError, ValueError):
            return None


def _in_order(claims: Sequence[Claim]) -> bool:
    """Whether no step is told twice or late, as it is when a RUN prints the text of one."""
    places = [(claim.stage, claim.below) for claim in claims]
    follows = all(
        (after[0] == before[0] and after[1] == before[1] + 1) or (after[0] > before[0] and after[1] == -1)
        for before, after in pairwise(places)
    )
    return follows and (not places or places[0][1] == -1)


def _makes(created_by: str, text: str) -> bool:
    """Whether an entry of a history (`created_by`) is what Buildah writes for an instruction."""
    keyword, _, rest = text.partition(" ")
    keyword = keyword.upper()
    if keyword == "RUN":
        # Before it may stand the build arguments that it was given.
        return created_by.endswith(f"/bin/sh -c {rest}")
    said = created_by.removeprefix("/bin/sh -c #(nop) ")
    if said == created_by:
        return False
    if keyword in ("COPY", "ADD"):
        return said.startswith(f"{keyword} ") and " in " in said
    if keyword == "ARG":
        return said.startswith("ARG ")
    return said.partition(" ")[2] == rest and said.partition(" ")[0].upper() == keyword
