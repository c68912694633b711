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

    ``path`` is where the Dockerfile lies in the repository that is graded, with slashes.
    ``before`` are earlier images to set this one beside: what each was (`starter`, `last run`) and its size in bytes.
    ``hint`` is the command that gives the next hint on what failed; empty when there is none.
    """

    dockerfile: tuple[str, ...] = ()
    verbose: bool = False
    path: str = "Dockerfile"
    before: tuple[tuple[str, int], ...] = ()
    hint: str = ""


class Report(Protocol):
    """A format. Machine formats write nothing but themselves."""

    def __call__(self, result: GradeResult, telling: Telling, out: TextIO) -> None:
        """Writes ``result`` to ``out``."""


#: Formats that are lines for a log: they may follow a text on standard output.
LINES = frozenset({"annotations", "github-classroom"})

# Here and not in their files, because it is asked before a format is imported, while nothing is built yet.
_HOSTED = {
    "github-classroom": {"GITHUB_OUTPUT": "write", "GITHUB_ENV": "environment"},
    "markdown": {"GITHUB_STEP_SUMMARY": "write"},
}


def hosted(name: str) -> Mapping[str, str]:
    """Variables in which GitHub names a file to a workflow's step, and the format's function that appends to it.

    Where the first of them is set, this is where the format goes when no file was named.
    """
    return _HOSTED.get(name, {})


def names() -> tuple[str, ...]:
    """The names of all formats, ours and those that packages offer through the entry point `grader.reports`."""
    return tuple(sorted({*_own(), *_offered()}))


def exists(name: str) -> bool:
    """Whether there is a format of that name."""
    return name in _own() or name in _offered()


def load(name: str, function: str = "write") -> Report:
    """The format of that name, ours before another package's. ``function`` is one of those in `hosted`.

    Raises KeyError when there is none, and ``UsageError`` when another package's cannot be loaded.
    """
    if name not in _own():
        return _loaded(_offered()[name])
    report: Report = getattr(importlib.import_module(f"{__name__}.{name.replace('-', '_')}"), function)
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
