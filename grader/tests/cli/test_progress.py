from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING

from grader.cli.progress import ProgressView
from grader.result import ProgressEvent

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str) -> list[str]:
    """What stands on a terminal that knows a carriage return and `erase to the end of the line`."""
    lines = [""]
    for part in re.findall(r"\r\x1b\[K|\n|[^\r\n]+|\r", written):
        if part == "\r\x1b[K":
            lines[-1] = ""
        elif part == "\n":
            lines.append("")
        else:
            lines[-1] += part
    return lines


def shown(
    out: io.StringIO, events: list[ProgressEvent], monkeypatch: pytest.MonkeyPatch, *, verbose: bool = False
) -> str:
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "30")
    with ProgressView(verbose=verbose) as progress:
        for event in events:
            progress(event)
            assert all(len(line) < 30 for line in screen(out.getvalue())) or verbose
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
