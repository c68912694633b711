from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from grader.reports import Telling
from grader.reports._sizes import sizes
from grader.reports._text import clipped, last_state, one_line, printable
from grader.reports.terminal import write
from grader.result import EngineResult, Fault, ImageResult, LayerResult, Problem
from grader.tests.reports.results import ALL, DOCKERFILE, FAILED, HOSTILE, HOSTILE_DOCKERFILE

if TYPE_CHECKING:
    from grader.result import GradeResult

GOLDEN = Path(__file__).parent / "golden"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def told(
    result: GradeResult, out: io.StringIO, *, verbose: bool = False, dockerfile: tuple[str, ...] = DOCKERFILE,
    hint: str = "",
) -> str:  # fmt: skip
    write(result, Telling(dockerfile, verbose, hint=hint), out)
    return out.getvalue()


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("columns", [80, 40])
def test_golden(name: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = told(ALL[name], io.StringIO(), hint="grader hint 03-multi-stage-builds" if name == "failed" else "")
    assert text == (GOLDEN / f"terminal-{name}-{columns}.txt").read_text(encoding="utf-8")


def test_golden_verbose() -> None:
    text = told(FAILED, io.StringIO(), verbose=True)
    assert text == (GOLDEN / "terminal-failed-verbose.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
@pytest.mark.parametrize("result", [*ALL.values(), HOSTILE])
def test_no_line_is_too_long_or_ends_in_blanks(
    result: GradeResult, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = told(result, io.StringIO(), dockerfile=HOSTILE_DOCKERFILE).split("\n")
    assert [line for line in lines if cell_len(line) > columns or line != line.rstrip()] == []
    assert not re.search(r"\n\n\n", "\n".join(lines))


def test_bars_keep_their_proportions_and_go_where_there_is_no_room_for_them() -> None:
    image = ImageResult("sha256:ab", 153_000_000, 147_000_000, 0, (LayerResult(7, "RUN pip install", 6_000_000, 0),))
    wide = sizes(image, Telling(before=(("starter", 306_000_000),)), 80)
    bars = [line.count("#") for line in wide]
    assert bars == [32, 15, 16, 32]
    assert wide[2].endswith("153 MB  6 MB over its base")
    assert [line[8:17].strip() for line in wide] == ["starter", "its base", "image", "line 7"]
    assert not any("#" in line for line in sizes(image, Telling(), 40))


def test_the_largest_layers_are_shown_and_the_rest_is_added_up() -> None:
    layers = tuple(LayerResult(line, f"RUN step {line}", line * 1_000_000, 0) for line in range(1, 10))
    image = ImageResult("sha256:ab", 45_000_000, 0, 0, (*layers, LayerResult(None, "WORKDIR /app", 0, 0)))
    shown = sizes(image, Telling(), 80)
    assert "and 3 more with 6 MB" in shown[-1]
    assert [line for line in shown if "step 3" in line] == []
    assert len([line for line in sizes(image, Telling(verbose=True), 80) if "RUN step" in line]) == 9


def test_a_fault_of_ours_is_told_in_words_that_no_learner_takes_for_their_own() -> None:
    text = " ".join(told(ALL["error"], io.StringIO()).split())
    assert "This is not your fault" in text
    assert "grader doctor" in text
    assert "costs no points" in text
    assert "fault" not in told(FAILED, io.StringIO())
    author = replace(ALL["error"], problem=Problem("x", "", "", Fault.AUTHOR), checks=())
    assert "the exercise itself is broken" in told(author, io.StringIO())


def test_colour_on_a_terminal_only_and_never_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in told(FAILED, io.StringIO())
    assert "\x1b[" in told(FAILED, Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in told(FAILED, Terminal())


def test_with_and_without_colour_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert re.sub(r"\x1b\[[\d;]*m", "", told(FAILED, Terminal())) == told(FAILED, io.StringIO())


def test_what_a_learner_writes_is_never_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for out in (Terminal(), io.StringIO()):
        text = told(HOSTILE, out, verbose=True, dockerfile=HOSTILE_DOCKERFILE)
        assert [c for c in text if c != "\n" and (not c.isprintable() or ord(c) in range(0x202A, 0x2070))] == []
        assert "[red]" in text
        assert "[bold red]markup[/]" in text
        assert "100%" in text
        assert "50%" not in text
        text.encode()


def test_a_terminal_cuts_and_says_where_the_rest_is_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    result = FAILED.__class__(
        **{**FAILED.__dict__, "checks": tuple(_long(check) for check in FAILED.checks if check.id == "answers")}
    )
    cut = told(result, Terminal())
    assert "… 22 more with --verbose" in cut
    assert "line 30" in cut
    assert "line 1\n" not in cut
    assert "characters more with --verbose" in " ".join(cut.split())
    for whole in (told(result, io.StringIO()), told(result, Terminal(), verbose=True)):
        assert "line 1\n" in whole
        assert whole.count("y") >= 5000
        assert "--verbose" not in whole


def _long(check: object) -> object:
    evidence = {"log": [f"line {number}" for number in range(1, 31)]}
    return check.__class__(**{**check.__dict__, "got": "y" * 5000, "evidence": evidence})


def test_the_quoted_line_stands_before_the_hint_and_is_marked() -> None:
    text = told(FAILED, io.StringIO())
    got, quoted, hint = text.index("got "), text.index("> 1  FROM python:3.11"), text.index("hint")
    assert got < quoted < hint


def test_a_line_that_is_not_in_the_dockerfile_is_only_named() -> None:
    assert "line      5" in told(FAILED, io.StringIO(), dockerfile=())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bc", "�c"),
        ("a\u202eb\u200fc\ufeffd", "a�b�c�d"),
        ("\ud800", "�"),
        ("tab\tbed", "tab bed"),
        ("日本\u2028語", "日本�語"),
        ("a\r\nb", "a b"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert printable(printable(text)) == printable(text)


def test_of_a_progress_bar_the_end_stays() -> None:
    assert last_state("0%\r50%\r100%\r") == "100%"
    assert last_state("\r\r") == ""
    assert last_state("  indented") == "  indented"


def test_clipping_counts_cells() -> None:
    assert clipped("日本語", 4) == "日本"
    assert clipped("abc", 10) == "abc"


def test_missing_fences_are_for_who_asks_for_more() -> None:
    result = replace(FAILED, engine=EngineResult("docker", "28", "linux/amd64", missing_fences=("build disk",)))
    assert "build disk" not in told(result, io.StringIO())
    assert "engine lacks: build disk. `grader doctor`" in " ".join(told(result, io.StringIO(), verbose=True).split())
