from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pyte

from grader.cli.progress import ProgressView
from grader.result import ProgressEvent

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str, columns: int = 30) -> list[str]:
    """What stands on a real terminal's screen, down to the cursor."""
    display = pyte.Screen(columns, 40)
    display.set_mode(pyte.modes.LNM)
    pyte.Stream(display).feed(written)
    return [line.rstrip() for line in display.display[: display.cursor.y + 1]]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def shown(
    out: io.StringIO, events: list[ProgressEvent], monkeypatch: pytest.MonkeyPatch, *, verbose: bool = False
) -> str:
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "30")
    with ProgressView(verbose=verbose) as progress:
        for event in events:
            progress(event)
            assert len(screen(out.getvalue())) <= 3 or verbose  # none of them was too long for its line
    return out.getvalue()


EVENTS = [
    ProgressEvent("bases", "pulling python:3.11"),
    ProgressEvent("build", "RUN make " + "x" * 100),
    ProgressEvent("build", "compiling \x1b[31m\u202e 漢字" + "漢字" * 40, detail=True),
    ProgressEvent("start", "the app answers"),
]


def test_a_live_line_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    assert screen(shown(out, EVENTS, monkeypatch)) == ["bases: pulling python:3.11", ""]
    assert "RUN make" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()


def test_without_a_terminal_there_is_no_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(io.StringIO(), EVENTS, monkeypatch) == "bases: pulling python:3.11\n"


def test_verbose_keeps_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(io.StringIO(), EVENTS, monkeypatch, verbose=True).splitlines()
    assert [line.split(":")[0] for line in lines] == ["bases", "build", "start"]
    assert lines[1].endswith("x" * 100)


STEP = "[builder 2/3] RUN pip wheel"


def live(monkeypatch: pytest.MonkeyPatch, out: io.StringIO) -> tuple[ProgressView, Clock]:
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "60")
    clock = Clock()
    return ProgressView(clock=clock), clock


def test_the_step_how_long_it_runs_its_last_log_line_and_what_was_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    view, clock = live(monkeypatch, out)
    view(ProgressEvent("build", "[1/3] FROM x (cached)", step="[1/3] FROM x"))
    view(ProgressEvent("build", STEP, detail=True, step=STEP))
    clock.now += 12
    view(ProgressEvent("build", STEP, detail=True, step=STEP, log="10%\r50%\rCompiling \x1b[31mxxhash\n"))
    assert screen(out.getvalue(), 60) == [f"build 12 s (1 cached): {STEP}", "  | Compiling xxhash"]
    clock.now += 3
    view.tick()
    assert screen(out.getvalue(), 60)[0] == f"build 15 s (1 cached): {STEP}"
    view(ProgressEvent("build", f"{STEP} (15.0 s)", step=STEP))
    with view.aside():
        assert screen(out.getvalue(), 60) == [""]


def test_of_steps_side_by_side_another_is_shown_when_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    view, clock = live(monkeypatch, out)
    for name in ("[a 1/1] RUN one", "[b 1/1] RUN two"):
        view(ProgressEvent("build", name, detail=True, step=name))
        clock.now += 2
    view.tick()
    assert screen(out.getvalue(), 60) == ["build 2 s (1 more at once): [b 1/1] RUN two"]
    view(ProgressEvent("build", "[b 1/1] RUN two (2.0 s)", step="[b 1/1] RUN two"))
    assert screen(out.getvalue(), 60) == ["build 4 s: [a 1/1] RUN one"]


def test_a_pull_shows_its_bytes_and_the_time_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    view, clock = live(monkeypatch, out)
    view(ProgressEvent("bases", "python:3.11: pulling", detail=True))
    clock.now += 30
    view(ProgressEvent("bases", "python:3.11: 120 of 350 MB, 34 %", detail=True))
    assert screen(out.getvalue(), 60) == ["bases 30 s: python:3.11: 120 of 350 MB, 34 %"]


def test_without_a_terminal_what_takes_long_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    view, clock = live(monkeypatch, out)
    view(ProgressEvent("build", STEP, detail=True, step=STEP))
    for _ in range(200):
        clock.now += 1
        view(ProgressEvent("build", STEP, detail=True, step=STEP, log="x"))
        view.tick()
    told = [line.partition("(")[2] for line in out.getvalue().splitlines()]
    assert told == ["10 s so far)", "30 s so far)", "1 min so far)", "2 min so far)", "3 min so far)"]


def test_plain_moves_no_cursor_even_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with ProgressView(plain=True) as progress:
        for event in EVENTS:
            progress(event)
    assert out.getvalue() == "bases: pulling python:3.11\n"
