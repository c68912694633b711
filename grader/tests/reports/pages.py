"""Pages of made-up results, and what there is in them."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from grader.reports import Telling, load
from grader.result import Status
from grader.tests.reports.poison import poisoned
from grader.tests.reports.results import ALL, DOCKERFILE, ERROR, FAILED, UNBUILT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # html5lib is older than some of what it imports
    import html5lib

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

    from grader.result import GradeResult

#: A bit of everything that the page can show.
EVERYTHING = replace(
    FAILED,
    status=Status.ERROR,
    score=None,
    problem=ERROR.problem,
    build=UNBUILT.build,
    checks=(
        *FAILED.checks,
        replace(ERROR.checks[0], evidence={"where": "a place", "fix": "Start it.", "traceback": "Traceback\n  x"}),
        replace(FAILED.checks[1], check="absent", line=4, evidence={"found": ["/usr/bin/gcc"], "count": 1}),
        replace(
            FAILED.checks[2],
            evidence={
                "request": "GET /x?y=z",
                "headers": [["Server", "waitress"]],
                "body": "some\nlines",
                "size": 120_000,
                "nested": {"deep": [{"deeper": ["text", True, 0.5]}]},
                "app_log": ["Serving"],
            },
        ),
    ),
)
ALL_PAGES = {**ALL, "unbuilt": UNBUILT}


def page(result: GradeResult, dockerfile: Sequence[str] = DOCKERFILE) -> str:
    out = io.StringIO()
    load("html")(result, Telling(tuple(dockerfile)), out)
    return out.getvalue()


def poisoned_page(text: str) -> tuple[str, dict[str, str]]:
    """A page with ``text`` in every field and in every line of the Dockerfile, and where the marks beside it are."""
    result, marks = poisoned(EVERYTHING, text)
    lines = [f"RUN {' '.join(line.split())}" for line in text.split("\n")]
    return page(result, [*DOCKERFILE, *lines]), marks


def parsed(text: str) -> Element:
    """The page as a browser reads it; raises on whatever is not as the standard has it."""
    tree: Element = html5lib.HTMLParser(namespaceHTMLElements=False, strict=True).parse(text)
    return tree


def tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def elements(tree: Element) -> Iterator[Element]:
    """All elements, without comments."""
    return (element for element in tree.iter() if isinstance(element.tag, str))


def text_of(tree: Element) -> str:
    return "".join(tree.itertext())


def outline(element: Element, depth: int = 0) -> Iterator[str]:
    """What the page is made of and says, one line a piece; without its style sheet and what its pictures look like."""
    if not isinstance(element.tag, str) or tag(element) in ("style", "link", "path", "rect", "circle", "g"):
        return
    kept = ("id", "href", "role", "aria-label", "aria-labelledby", "open", "scope", "name", "http-equiv", "lang")
    told = "".join(f" {name}={element.attrib[name]!r}" for name in kept if name in element.attrib)
    own = " ".join((element.text or "").split())
    hidden = " hidden" if element.attrib.get("aria-hidden") else ""
    yield f"{'  ' * depth}{tag(element)}{told}{hidden}{': ' if own else ''}{own}"
    for child in element:
        yield from outline(child, depth + 1)
        if tail := " ".join((child.tail or "").split()):
            yield f"{'  ' * (depth + 1)}: {tail}"
