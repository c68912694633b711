"""What a learner's program may print, name a file or write into a Dockerfile to deceive a reader or a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grader.result import Fault, ImageResult, LayerResult, Problem, SubmissionResult
from grader.tests.reports.results import ERROR, FAILED, UNTOLD

if TYPE_CHECKING:
    from grader.result import CheckResult, GradeResult

FORGED = '::notice title=Autograding report::{"totalPoints":100,"maxPoints":100}'
STRINGS = {
    "command": FORGED,
    "indented command": f"  \t{FORGED}",
    "command on a line of its own": f"x\n{FORGED}\ny",
    "command after a carriage return": f"x\r{FORGED}",
    "command after other line ends": f"a\u2028{FORGED}\x85{FORGED}\x0b{FORGED}\x0c{FORGED}\u2029{FORGED}\x1e{FORGED}",
    "command after odd blanks": f"\u3000\xa0\u2003{FORGED}\n\u3000{FORGED}",
    "command in an escape sequence": f"\x1b[0m{FORGED}\n\x1b]0;x\x07{FORGED}\n\ufeff{FORGED}",
    "old command": "all is well ##[error]no ##[set-env name=PATH]/tmp",
    "old command in an escape sequence": "#\x1b[0m#[error]x",
    "stopping and resuming": "::stop-commands::x\n::x::\n::stop-commands::",
    "escaped line feed": "x%0A::error::y%0D%25",
    "properties": "x,line=1::y,file=z",
    "outputs": "EOF\nscore=100\nresult<<EOF\n100\nEOF",
    "delimiter": "x\nghadelimiter_00000000000000000000000000000000\nscore=100",
    "fences": "```\n# heading\n~~~~~~~~\n`````````` x\n    ```\n\n# heading",
    "many fences": "`" * 200 + "\n" + "~" * 200,
    "table": "a | b |\n|---|---|\n\\| c",
    "markup": "# heading\n- list\n> quote\n**bold** _i_ ~~s~~ [x](javascript:alert(1)) ![x](http://example.org/x.png)",
    "mention": "@somebody @org/team #1 org/repo#1 :smile: www.example.org https://example.org",
    "reference": "[x]: http://example.org\n\n[x]",
    "html": "</code></pre></details><script>alert(1)</script><img src=x onerror=alert(1)><!-- ",
    "entities": "&lt;script&gt; &#60; &amp;amp; &quot;",
    "cdata": "]]><x/><![CDATA[ <!DOCTYPE x [<!ENTITY y 'z'>]> &y; <?xml?>",
    "no character": "\x00\x01\x08\x0e\x1f\x7f\x9b31m \ud800 \udfff \ufffe \uffff \U0001ffff",
    "lone surrogates that pair": "\ud83d\ude00",
    "directions": "\u202egnp.exe\u2066\u200f\u061c",
    "invisible": "a\u200bb\u2060c\ufeffd\u00ade\U000e0041",
    "formula": '=HYPERLINK("http://example.org","x")',
    "formula plus": "+1+1|cmd|' /C calc'!A0",
    "formula minus": "-2+3+cmd|' /C calc'!A0",
    "formula at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula after a tab": "\t=1+1",
    "formula after a carriage return": "\r=1+1",
    "formula after a blank": "  =1+1",
    "formula after a semicolon": "x; =1+1;\t@y",
    "formula in full width": "\uff1d1+1",
    "cells": '"a","b"\n"c",d\r\n=e',
    "quotes": '\' " ` \\ \\" $(id) ${HOME} {{ 7*7 }} %s {0}',
    "json": '","score":100,"x":"',
    "control of a terminal": "\x1b[2J\x1b[31mred\x1b[0m\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x07\b\b\b\b",
    "markup of a terminal": "[bold red]x[/] [link=file:///etc/passwd]y[/link] :boom:",
    "progress bar": "0%\r50%\r100%\r",
    "long": "x" * 5_000,
    "long and wide": "漢字" * 2_500,
    "many lines": f"{FORGED}\n" * 60,
    "nothing": "",
    "blanks": " \t \n \n",
}


def results(text: str) -> dict[str, GradeResult]:
    """Results that carry it wherever a learner's text may come to stand: one failed, one refused, one not graded."""
    failed = replace(
        FAILED,
        submission=SubmissionResult(text, None),
        notes=(text,),
        image=ImageResult("sha256:ab", 629, 622, 64, (LayerResult(4, text, 7, 3), LayerResult(None, text, 0, 0))),
        checks=tuple(_carrying(check, text) for check in FAILED.checks),
    )
    problem = Problem(text, text, text, Fault.LEARNER, 1, tuple(text.splitlines()))
    refused = replace(UNTOLD, score=22.5, max_score=22.5, submission=failed.submission, notes=(text,), problem=problem)
    checks = tuple(_carrying(check, text) for check in ERROR.checks)
    error = replace(ERROR, problem=replace(problem, fault=Fault.INFRASTRUCTURE), checks=checks)
    return {"failed": failed, "refused": refused, "error": error}


def dockerfile(text: str) -> tuple[str, ...]:
    """A Dockerfile that carries it in every line that is quoted."""
    return tuple(text.replace("\n", " ") for _ in range(5))


def _carrying(check: CheckResult, text: str) -> CheckResult:
    evidence = {"log": [text, *text.splitlines()], "fix": text, "where": text}
    return replace(
        check, title=f"{check.title} {text}", got=text, expected=text, why=text, hints=(text,), evidence=evidence
    )
