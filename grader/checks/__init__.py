"""What is asserted: one file a check type, found by `types`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks.base import Check

_NOT_TYPES = {"base", "subject"}


@cache
def types() -> Mapping[str, type[Check]]:
    """All check types by name: ours, and those that other packages offer through the entry point `grader.checks`.

    Raises ``RubricError`` when such a package cannot be loaded or takes a name that is taken.
    """
    found: dict[str, type[Check]] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NOT_TYPES:
            found |= _types_in(importlib.import_module(f"{__name__}.{module.name}"))
    for point in entry_points(group="grader.checks"):
        found[_free(point.name, found)] = _load(point)
    return found


def _types_in(module: object) -> dict[str, type[Check]]:
    from grader.checks.base import Check  # noqa: PLC0415  # base is imported by every check module anyway

    name = getattr(module, "__name__", "")
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == name)
    return {kind.type_name(): kind for kind in own if issubclass(kind, Check)}


def _load(point: object) -> type[Check]:
    try:
        kind: type[Check] = point.load()  # type: ignore[attr-defined]
    except Exception as error:
        raise RubricError(
            f"The check type from {point} cannot be loaded: {error}", "Mend or uninstall that package."
        ) from error
    return kind


def _free(name: str, found: Mapping[str, object]) -> str:
    if name in found:
        raise RubricError(f"Two packages offer a check type “{name}”", "Uninstall one of them.")
    return name
