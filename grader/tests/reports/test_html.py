from __future__ import annotations

import base64
import hashlib
import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.reports import html
from grader.reports._byhand import by_hand
from grader.reports._listing import listing
from grader.reports._pictures import layers, moments, score
from grader.reports._visible import visible
from grader.result import LayerResult
from grader.tests.reports.pages import (
    ALL_PAGES,
    EVERYTHING,
    elements,
    outline,
    page,
    parsed,
    poisoned_page,
    tag,
    text_of,
)
from grader.tests.reports.poison import CORPUS
from grader.tests.reports.results import DOCKERFILE, FAILED, HOSTILE, HOSTILE_DOCKERFILE, PASSED, UNBUILT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

GOLDEN = Path(__file__).parent / "golden"
#: All that a page may be made of. Nothing here loads, runs or sends anything.
_ELEMENTS = """
    html head meta title link style body a header div p span bdi h1 h2 h3 h4 svg circle path g rect text strong dl dt dd
    small section nav ol ul li main details summary code pre b figure figcaption table caption thead tbody tr th td time
    defs pattern
"""
_ATTRIBUTES = """
    lang charset http-equiv content name rel href class id aria-hidden aria-label aria-labelledby role open scope
    tabindex datetime width height x y dx rx d viewBox preserveAspectRatio focusable text-anchor transform cx cy r
    fill patternUnits patternTransform
"""
#: What a skipped check's own words say already.
UNSHOWN = {"result.checks[].evidence.blocked_by"}


@pytest.mark.parametrize("name", sorted(ALL_PAGES))
def test_golden(name: str) -> None:
    (body,) = parsed(page(ALL_PAGES[name])).iter("body")
    assert "\n".join(outline(body)) + "\n" == (GOLDEN / f"html-{name}.txt").read_text(encoding="utf-8")


# --- a learner's text is text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_nothing_that_a_learner_writes_becomes_markup(name: str) -> None:
    text, marks = poisoned_page(CORPUS[name])
    tree = parsed(text)
    assert {tag(element) for element in elements(tree)} <= {*_ELEMENTS.split()}
    assert {attribute for element in elements(tree) for attribute in element.attrib} <= {*_ATTRIBUTES.split()}
    addresses = [element.attrib["href"] for element in elements(tree) if "href" in element.attrib]
    assert [address for address in addresses if not re.match(r"#[a-z]+(-[a-z0-9]+)*$|data:image/svg", address)] == []
    shown = text_of(tree)
    expected = visible(CORPUS[name]).replace("`", "")
    assert "".join(expected.split()) in "".join(shown.replace("`", "").split())
    assert text.isascii()
    assert {where for mark, where in marks.items() if mark not in shown} == UNSHOWN


def test_every_field_is_on_the_page_whole() -> None:
    text, marks = poisoned_page("z" * 5000)
    shown = text_of(parsed(text))
    assert {where for mark, where in marks.items() if f"{mark} {'z' * 5000}" not in shown} == UNSHOWN


@pytest.mark.parametrize("result", [*ALL_PAGES.values(), EVERYTHING, HOSTILE])
def test_what_is_written_is_html(result: Any) -> None:
    text = page(result, HOSTILE_DOCKERFILE)
    assert text.startswith("<!doctype html>")
    parsed(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("a\x00b\x1bc\x7f", "a\u2400b\u241bc\u2421"),
        ("\u202egnp.exe", "\u27e8U+202E\u27e9gnp.exe"),
        ("zero\u200bwidth", "zero\u27e8U+200B\u27e9width"),
        ("\ud800", "\u27e8U+D800\u27e9"),
        ("10%\r50%\r100%\r", "10%\n50%\n100%"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("日本 ünï", "日本 ünï"),
    ],
)
def test_every_character_can_be_seen(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


# --- nothing is loaded ------------------------------------------------------------------------------------------------


def test_the_policy_allows_the_style_sheet_by_its_hash_and_nothing_else() -> None:
    tree = parsed(page(FAILED))
    (style,) = (element for element in elements(tree) if tag(element) == "style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    (policy,) = (e.attrib["content"] for e in elements(tree) if e.attrib.get("http-equiv") == "Content-Security-Policy")
    allowed = {rule.strip().partition(" ")[0]: rule.strip().partition(" ")[2] for rule in policy.split(";")}
    assert allowed == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "style-src": f"'sha256-{digest}'",
    }


def test_the_style_sheet_asks_for_nothing() -> None:
    assert not re.search(r"url\(|@import|@font-face|</|expression", html._style())


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [*ALL_PAGES.values(), EVERYTHING])
def test_headings_landmarks_and_names(result: Any) -> None:
    tree = parsed(page(result))
    found = [element for element in elements(tree) if re.fullmatch(r"h[1-6]", tag(element))]
    levels = [int(tag(element)[1]) for element in found]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(text_of(heading).strip() for heading in found)
    names = [tag(element) for element in elements(tree)]
    assert (names.count("main"), names.count("nav"), names.count("header")) == (1, 1, 1)
    ids = [element.attrib["id"] for element in elements(tree) if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    wanted = {
        reference
        for element in elements(tree)
        for reference in (element.attrib.get("aria-labelledby"), element.attrib.get("href", "").partition("#")[2])
        if reference and not element.attrib.get("href", "").startswith("data:")
    }
    assert wanted <= set(ids)


@pytest.mark.parametrize("result", [*ALL_PAGES.values(), EVERYTHING])
def test_a_picture_has_a_name_or_is_told_in_words_beside_it(result: Any) -> None:
    drawings = [element for element in elements(parsed(page(result))) if tag(element) == "svg"]
    assert drawings
    for drawing in drawings:
        assert drawing.attrib.get("aria-hidden") == "true" or drawing.attrib.get("aria-label"), drawing.attrib


def test_the_layers_and_their_bytes_are_a_table_too() -> None:
    tables = [text_of(element) for element in elements(parsed(page(FAILED))) if tag(element) == "table"]
    assert re.search(r"python:3\.11622 MB\s.*COPY \. \.1 MB640 kB\s.*RUN pip install6 MB", tables[0], re.DOTALL)
    assert "app/notes.txt" in tables[1]


#: Text (4.5) and what pictures are drawn with (3.0) on what they stand on: WCAG 2.2, 1.4.3 and 1.4.11.
TEXT = [
    *(("ink", ground) for ground in ("paper", "card", "code", "bad-wash", "good-wash", "warn-wash")),
    *(("quiet", ground) for ground in ("paper", "card", "code", "bad-wash", "good-wash", "warn-wash")),
    *(("link", ground) for ground in ("paper", "card")),
    *(("good", "card"), ("bad", "card"), ("bad", "bad-wash"), ("warn", "card"), ("warn", "bad-wash")),
]
DRAWN = [*((f"hue-{number}", "card") for number in range(6)), ("base", "card"), ("in-vain", "card"), ("good", "card")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    colours = list(_colours(scheme))
    found = dict(colours)
    for pairs, least in ((TEXT, 4.5), (DRAWN, 3.0)):
        for front, back in pairs:
            assert _contrast(found[front], found[back]) >= least, f"{front} on {back}"


def _colours(scheme: str) -> Iterator[tuple[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", html._style(), re.DOTALL)[: 1 if scheme == "light" else 2]
    for block in blocks:
        yield from re.findall(r"--([\w-]+): #([0-9a-f]{6})", block)


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_failures_are_open_and_the_rest_is_closed() -> None:
    checks = [e for e in elements(parsed(page(FAILED))) if e.attrib.get("class", "").startswith("check ")]
    opened = {e.attrib["class"].split()[1]: "open" in e.attrib for e in checks}
    assert opened == {"passed": False, "failed": True, "skipped": False}


def test_a_line_knows_its_bytes_its_steps_and_its_faults() -> None:
    first, _, copy, run, _ = listing(FAILED, DOCKERFILE)
    assert (first.keyword, first.size, first.base) == ("FROM", 622_000_000, True)
    assert [check.id for _, check in first.faults] == ["small"]
    assert (copy.size, copy.wasted, [step.cached for step in copy.steps]) == (1_000_000, 640_000, [True])
    assert (run.size, run.steps[0].duration) == (6_000_000, 1.36)


def test_a_line_of_a_stage_that_does_not_ship_says_so() -> None:
    assert FAILED.image is not None
    image = replace(FAILED.image, base_line=3, layers=(LayerResult(4, "RUN pip install", 1, 0),))
    lines = listing(replace(FAILED, image=image), DOCKERFILE)
    assert [line.left_out for line in lines] == [True, False, False, False, False]
    assert "not shipped" in page(replace(FAILED, image=image))


def test_only_the_first_line_of_an_instruction_begins_with_its_keyword() -> None:
    lines = listing(PASSED, ("RUN a \\", "# a comment", "  COPY b", "copy x y"))
    assert [line.keyword for line in lines] == ["RUN", "", "", "copy"]


def test_bars_stay_within_their_picture_and_are_never_too_thin_to_see() -> None:
    assert FAILED.image is not None
    many = tuple(LayerResult(number, "RUN x", size, 0) for number, size in enumerate([1, 0, 10**12, 1, 5, 1]))
    drawn = layers(replace(FAILED, image=replace(FAILED.image, layers=many, size=10**13)))
    assert drawn is not None
    for bar in (*drawn.whole, *drawn.added, *(bar for row in drawn.rows for bar in row.bars)):
        assert bar.x >= 0
        assert bar.width > 0.3
        assert bar.x + bar.width <= 100.001
    assert drawn.rows[2].hue == 0


def test_the_bar_of_points_reaches_as_far_as_the_points_do() -> None:
    drawn = score(FAILED)
    assert FAILED.score is not None
    earned = sum(bar.width for bar in drawn.bars if bar.kind == "earned")
    assert earned == pytest.approx(FAILED.score / FAILED.max_score * 100, abs=0.01)
    assert drawn.pass_x == pytest.approx(FAILED.pass_score / FAILED.max_score * 100)


def test_steps_stand_in_the_order_in_which_they_started() -> None:
    assert UNBUILT.build is not None
    shuffled = replace(UNBUILT.build, steps=UNBUILT.build.steps[::-1])
    assert [moment.step.line for moment in moments(shuffled)] == [None, 1, 3, 4]
    assert [moment.failed for moment in moments(shuffled)] == [False, False, False, True]


def test_an_engine_that_tells_no_times_has_no_bars() -> None:
    assert PASSED.build is not None
    steps = tuple(replace(step, started=None, duration=None, cached=None) for step in PASSED.build.steps)
    result = replace(PASSED, build=replace(PASSED.build, steps=steps))
    assert [moment.bar for moment in moments(result.build)] == [None] * 4
    assert "not told" in page(result)


# --- by hand ----------------------------------------------------------------------------------------------------------


def commands(result: Any) -> list[str]:
    return [command for step in by_hand(result) for command in step.commands]


def test_by_hand_it_is_built_asked_and_removed() -> None:
    lines = commands(EVERYTHING)
    assert "docker build --build-arg VERSION=1 --secret id=token,src=FILE -t 03-multi-stage-builds ." in lines
    assert "curl -i http://localhost:5000/health" in lines
    assert "curl -i 'http://localhost:5000/x?y=z'" in lines
    assert any(line.endswith("ls 03-multi-stage-builds -l /usr/bin/gcc") for line in lines)
    assert any("-p 5000:5000" in line and "-e MODE=test" in line for line in lines)
    assert lines[-1] == "docker image rm 03-multi-stage-builds"


@pytest.mark.parametrize("path", ["/a;rm -rf ~", "/$(id)", "/`id`", "/'\"", "/a b", "/-rf"])
def test_what_is_to_be_typed_has_no_command_of_the_learners_in_it(path: str) -> None:
    absent = replace(FAILED.checks[1], check="absent", evidence={"found": [path]})
    asked = replace(FAILED.checks[2], evidence={"request": f"GET {path}"})
    lines = commands(replace(FAILED, checks=(absent, asked)))
    words = [word for line in lines for word in shlex.split(line)]
    assert path in words
    assert f"http://localhost:5000{path}" in words


@pytest.mark.parametrize("path", ["/a\nrm", "/\x1b[2J", "/\u202etxt", "relative", "/\ud800"])
def test_what_a_terminal_would_obey_is_not_to_be_typed(path: str) -> None:
    absent = replace(FAILED.checks[1], check="absent", evidence={"found": [path]})
    asked = replace(FAILED.checks[2], evidence={"request": f"GET {path}"})
    assert commands(replace(FAILED, checks=(absent, asked))) == commands(replace(FAILED, checks=()))


def text_in(tree: Element, name: str) -> str:
    return " ".join(text_of(next(e for e in elements(tree) if e.attrib.get("id") == name)).split())


def test_a_log_that_the_rubric_keeps_is_not_there_and_that_is_said() -> None:
    assert PASSED.app is not None
    kept = text_in(parsed(page(replace(PASSED, app=replace(PASSED.app, log=None)))), "app")
    assert "does not show" in kept
    assert "GET /" in text_in(parsed(page(PASSED)), "app")
