"""What is asserted: one file a check type, found by `types`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from grader.checks.base import Check

_NOT_TYPES = {"base", "subject"}


class _Types(Mapping[str, "type[Check]"]):
    """Check types by name. One that is asked for by name costs no more than its own import."""

    def __getitem__(self, name: str) -> type[Check]:
        if name in _own_names():
            return _own(name)
        return _offered()[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*_own_names(), *_offered())

    def __len__(self) -> int:
        return len(_own_names()) + len(_offered())


def types() -> Mapping[str, type[Check]]:
    """All check types by name: ours, and those that other packages offer through the entry point `grader.checks`.

    The mapping raises ``RubricError`` when such a package cannot be loaded or takes a name that is taken.
    """
    return _Types()


@cache
def _own_names() -> tuple[str, ...]:
    # In an order: `grader schema` prints the same each time.
    names = {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}
    return tuple(sorted(names - _NOT_TYPES))


@cache
def _own(name: str) -> type[Check]:
    return _types_in(importlib.import_module(f"{__name__}.{name}"))[name]


@cache
def _offered() -> Mapping[str, type[Check]]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # takes longer than most checks

    found: dict[str, type[Check]] = {}
    for point in entry_points(group="grader.checks"):
        found[_free(point.name, [*_own_names(), *found])] = _load(point)
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


def _free(name: str, taken: Collection[str]) -> str:
    if name in taken:
        raise RubricError(f"Two packages offer a check type “{name}”", "Uninstall one of them.")
    return name
