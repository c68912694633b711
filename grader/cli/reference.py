"""The reference of check types as plain text, 80 columns wide."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.checks._reference import Facts, Reference

_WIDTH = 80


def overview(references: Iterable[Reference]) -> str:
    """One entry a type: its name and what it asserts."""
    known = sorted(references, key=lambda each: each.name)
    column = max(len(each.name) for each in known) + 2
    lines = [_wrapped(each.summary, first=each.name.ljust(column), other=" " * column) for each in known]
    return "\n".join([*lines, "", "`grader checks TYPE` shows the fields of one, and an example."])


def page(reference: Reference) -> str:
    """All of one type."""
    parts = [_wrapped(f"{reference.name}: {reference.summary}")]
    parts += [_paragraph(each) for each in reference.description.split("\n\n") if each]
    parts.append(_section("Fields:", reference.fields))
    parts.append(_section("Fields of every check:", reference.common))
    parts.append(
        "What a learner is told when the rubric has no `why` and no `hints`:\n\n"
        + "\n".join(_wrapped(each, first="  ", other="  ") for each in (reference.why, reference.hint) if each)
    )
    parts.append(f"Example:\n\n{textwrap.indent(reference.example.strip(), '  ')}")
    return "\n\n".join(part for part in parts if part)


def _section(heading: str, fields: Iterable[Facts]) -> str:
    lines = [line for field in fields for line in _field(field, "  ")]
    return "\n".join([heading, "", *lines]) if lines else ""


def _field(field: Facts, indent: str) -> Iterator[str]:
    notes = [field.type]
    notes += ["required"] if field.required else []
    notes += [f"default {_yaml(field.default)}"] if field.default is not None else []
    yield _wrapped("; ".join(notes), first=f"{indent}{field.name}: ", other=f"{indent}    ")
    if field.description:
        yield _wrapped(field.description, first=f"{indent}    ", other=f"{indent}    ")
    for nested in field.fields:
        yield from _field(nested, f"{indent}  ")


def _yaml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _paragraph(text: str) -> str:
    """Filled anew, unless its lines are laid out by hand."""
    laid_out = any(line.startswith((" ", "- ", "* ")) for line in text.splitlines())
    return text if laid_out else _wrapped(text)


def _wrapped(text: str, *, first: str = "", other: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=other,
        break_long_words=False,
        break_on_hyphens=False,
    )
