"""The fresh value: what only an app that runs now can answer with, and no recorded answer can know."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_FRESH = re.compile(r"\{fresh(?:\.(?P<form>[a-z0-9]+))?\}")
#: What can be asked to be done with the value.
_FORMS: dict[str | None, Callable[[str], str]] = {
    None: lambda value: value,
    "sha256": lambda value: hashlib.sha256(value.encode()).hexdigest(),
    "reversed": lambda value: value[::-1],
    "upper": lambda value: value.upper(),
}


def refresh(value: Any, fresh: str) -> Any:
    """``value`` with ``fresh`` for every `{fresh}` in it, inside lists and mappings too.

    `{fresh.sha256}`, `{fresh.reversed}` and `{fresh.upper}` become what has to be worked out from it.
    """
    if isinstance(value, str):
        return _FRESH.sub(lambda match: _FORMS[match["form"]](fresh), value)
    if isinstance(value, Mapping):
        return {refresh(str(key), fresh): refresh(item, fresh) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [refresh(item, fresh) for item in value]
    return value


def refuse_unknown_forms(value: Any) -> None:
    """Raises ValueError, in words for the author of a rubric, for a `{fresh.form}` that there is none of."""
    for form in _forms(value):
        if form not in _FORMS:
            raise ValueError(f"{{fresh.{form}}} is not known; use one of {', '.join(filter(None, _FORMS))}")


def _forms(value: Any) -> Iterator[str | None]:
    if isinstance(value, str):
        yield from (match["form"] for match in _FRESH.finditer(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _forms([key, item])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _forms(item)
