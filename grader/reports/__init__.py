"""How a result is told: one file a format, found by `formats`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from grader.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from grader.result import GradeResult


@dataclass(frozen=True)
class Telling:
    """What a report may use beside the result: the learner's Dockerfile to quote from, and how much is wanted.

    ``before`` are earlier images to set this one beside: what each was (`starter`, `last run`) and its size in bytes.
    """

    dockerfile: tuple[str, ...] = ()
    verbose: bool = False
    before: tuple[tuple[str, int], ...] = ()


class Report(Protocol):
    """A format. Machine formats write nothing but themselves."""

    def __call__(self, result: GradeResult, telling: Telling, out: TextIO) -> None:
        """Writes ``result`` to ``out``."""


def names() -> tuple[str, ...]:
    """The names of all formats, ours and those that packages offer through the entry point `grader.reports`."""
    return tuple(sorted({*_own(), *_offered()}))


def exists(name: str) -> bool:
    """Whether there is a format of that name."""
    return name in _own() or name in _offered()


def load(name: str) -> Report:
    """The format of that name, ours before another package's.

    Raises KeyError when there is none, and ``UsageError`` when another package's cannot be loaded.
    """
    if name not in _own():
        return _loaded(_offered()[name])
    report: Report = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").write
    return report


def _loaded(point: EntryPoint) -> Report:
    try:
        report: Report = point.load()
    except Exception as error:
        raise UsageError(
            f"The format {point.name} of {point.value} cannot be loaded: {error}", "Mend or uninstall that package."
        ) from error
    return report


def _own() -> frozenset[str]:
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return frozenset(name.replace("_", "-") for name in modules)


def _offered() -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # costs more than most commands do

    return {point.name: point for point in entry_points(group="grader.reports")}
