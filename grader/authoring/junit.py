"""Proofs as JUnit XML: a test suite an exercise, a test case a fact.

The form is the one that Jenkins, GitLab and GitHub's actions read: ``testsuites``, ``testsuite`` and ``testcase`` with
``failure`` or ``error``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # writes only

from grader.files import written
from grader.reports._text import printable
from grader.reports._workflow import harmless_xml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.authoring.proof import Fact, Proof


def write(proofs: Sequence[Proof], file: Path) -> None:
    """Raises OSError when the file cannot be written."""
    root = ET.Element("testsuites", _counts([fact for proof in proofs for fact in proof.facts]))
    for proof in proofs:
        suite = ET.SubElement(root, "testsuite", {"name": printable(proof.exercise)} | _counts(proof.facts))
        for fact in proof.facts:
            _add(suite, proof, fact)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    with written(file) as out:
        out.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{harmless_xml(text)}\n')


def _add(suite: ET.Element, proof: Proof, fact: Fact) -> None:
    names = {"classname": printable(proof.exercise), "name": printable(fact.sentence)}
    case = ET.SubElement(suite, "testcase", names)
    if fact.unsettled:
        ET.SubElement(case, "error", {"message": printable(fact.unsettled)})
    elif fact.findings:
        failure = ET.SubElement(case, "failure", {"message": printable(fact.findings[0].what)})
        told = (f"{finding.what}\n  where: {finding.where}\n  mend: {finding.fix}" for finding in fact.findings)
        failure.text = printable("\n".join(told))


def _counts(facts: Sequence[Fact]) -> dict[str, str]:
    verdicts = [fact.verdict for fact in facts]
    return {
        "tests": str(len(verdicts)),
        "failures": str(verdicts.count("refuted")),
        "errors": str(verdicts.count("unsettled")),
    }
