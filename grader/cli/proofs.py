"""Proofs as a person reads them: one table, then what has to be mended; or statements, for a screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from grader.authoring.proof import SENTENCES, together
from grader.reports import terminal
from grader.reports._text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from grader.authoring.proof import Fact, Proof, Verdict

#: The columns; a rubric that cannot be read leaves nothing else to show.
_KINDS = [kind for kind in SENTENCES if kind != "rubric"]
#: What is told in a word of its own, and what is counted.
_TELLING = ("starter", "solution", "again")
_COUNTED = ("checks", "broken", "hints")
_STYLE = {"proven": "green", "refuted": "bold red", "unsettled": "yellow"}
_TICKS: dict[Verdict, str] = {"proven": "✓", "refuted": "✗", "unsettled": "?"}
_WORDS: dict[Verdict, str] = {"proven": "ok", "refuted": "NO", "unsettled": "?"}
_SAID: dict[Verdict, str] = {"proven": "Proven", "refuted": "Not so", "unsettled": "Not looked at"}
_GAP = "  "


def write(proofs: Sequence[Proof], out: TextIO) -> None:
    """Prints the table and, below it, every finding; ticks on a terminal, words elsewhere."""
    screen = terminal.console(out)
    marks = _TICKS if out.isatty() else _WORDS
    rows = [[Text("exercise"), *map(Text, _KINDS)], *(_row(proof, marks) for proof in proofs)]
    widths = [max(row[column].cell_len for row in rows) for column in range(len(rows[0]))]
    screen.print()
    for row in rows:
        _print(screen, Text(_GAP).join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)))
    for proof in proofs:
        if proof.verdict != "proven":
            _print(screen, Text(f"\n{one_line(proof.exercise)}", style="bold"))
            _tell(screen, proof)
    _print(screen, Text(f"\n{_summary(proofs)}", style="bold"))


def write_statements(proofs: Sequence[Proof], out: TextIO) -> None:
    """The same, one statement a line: whoever hears a table read out does not know which column a word stands in."""
    screen = terminal.console(out)
    for proof in proofs:
        _print(screen, Text(f"{one_line(proof.exercise)}: {_SAID[proof.verdict].lower()}."))
        for fact in proof.facts:
            told = f" ({one_line(fact.told)})" if fact.told else ""
            _print(screen, Text(f"{_SAID[fact.verdict]}: {one_line(fact.sentence)}{told}."))
        _tell(screen, proof)
    _print(screen, Text(_summary(proofs)))


def _row(proof: Proof, marks: dict[Verdict, str]) -> list[Text]:
    name = _marked(proof.verdict, one_line(proof.exercise), marks)
    return [name, *(_cell(kind, proof.of(kind), marks) for kind in _KINDS)]


def _cell(kind: str, facts: Sequence[Fact], marks: dict[Verdict, str]) -> Text:
    if not facts:
        return Text("-")
    verdict = together(fact.verdict for fact in facts)
    word = facts[0].told if kind in _TELLING else ""
    if kind in _COUNTED:
        word = f"{sum(fact.verdict == 'proven' for fact in facts)}/{len(facts)}"
    return _marked(verdict, word, marks)


def _marked(verdict: Verdict, word: str, marks: dict[Verdict, str]) -> Text:
    return Text.assemble((marks[verdict], _STYLE[verdict]), f" {word}" if word else "")


def _padded(cell: Text, width: int) -> Text:
    padded = cell.copy()
    padded.pad_right(width - cell.cell_len)
    return padded


def _print(screen: Console, line: Text) -> None:
    line.rstrip()
    screen.print(line, soft_wrap=True)


def _tell(screen: Console, proof: Proof) -> None:
    for finding in proof.findings:
        _print(screen, Text(f"  {one_line(finding.what)}"))
        for word, text in (("where:", finding.where), ("mend:", finding.fix)):
            if text:
                _print(screen, Text(f"    {word:<6} {one_line(text)}"))
    for trouble in dict.fromkeys(fact.unsettled for fact in proof.facts if fact.unsettled):
        _print(screen, Text(f"  Not looked at: {one_line(trouble)}", style="yellow"))


def _summary(proofs: Sequence[Proof]) -> str:
    # What lies beside the exercises is told like one, but is none.
    exercises = [proof for proof in proofs if proof.of("rubric")]
    proven = sum(proof.verdict == "proven" for proof in exercises)
    findings = sum(len(proof.findings) for proof in proofs)
    unsettled = sum(fact.verdict == "unsettled" for proof in proofs for fact in proof.facts)
    told = f"{proven} of {len(exercises)} exercise{'s' * (len(exercises) != 1)} proven"
    told += f", {findings} thing{'s' * (findings != 1)} to mend" if findings else ""
    return told + (f", {unsettled} not looked at for a fault of the engine or the grader" if unsettled else "") + "."
