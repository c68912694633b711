"""JUnit XML, in the dialect that GitHub's actions, GitLab and Jenkins show.

``testsuites``, one ``testsuite``, a ``testcase`` a check with ``failure``, ``error`` or ``skipped``. There is no
standard; what these three read is in Jenkins' ``junit-10.xsd`` and GitLab's "Unit test reports". They tell cases apart
by class and name, hence the check's id in the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO
from xml.etree import ElementTree as ET  # writes only

from grader.reports import _words
from grader.reports._text import one_line, printable
from grader.reports._workflow import harmless_xml
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult, Problem


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """One document. `printable` takes out what no XML document may contain, even escaped."""
    problem = _words.untold(result)
    counts = _counts(result, problem)
    root = ET.Element("testsuites", {"name": result.exercise} | counts)
    suite = ET.SubElement(root, "testsuite", {"name": result.exercise} | counts)
    suite.set("timestamp", result.started.removesuffix("Z"))
    _properties(suite, _of_the_whole(result))
    if problem:
        _add_problem(suite, result, problem, telling)
    for check in result.checks:
        _add(suite, result, check, telling)
    lines = [_words.verdict(result), *_words.summary(result)]
    ET.SubElement(suite, "system-out").text = "\n".join(lines)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    out.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{harmless_xml(text)}\n')


def _add(suite: ET.Element, result: GradeResult, check: CheckResult, telling: Telling) -> None:
    case = _case(suite, f"{result.exercise}.{one_line(check.id)}", one_line(check.title), telling)
    case.set("time", f"{check.duration:.3f}")
    if check.line is not None:
        case.set("line", str(check.line))
    score = {} if check.score is None else {"score": f"{check.score:g}"}
    _properties(case, score | {"max_score": f"{check.max_score:g}"} | ({"bonus": "true"} if check.bonus else {}))
    message = _words.cut(one_line(check.got))
    if check.status is Status.SKIPPED:
        ET.SubElement(case, "skipped", {"message": message})
    elif check.status is not Status.PASSED:
        _tell(case, message, _words.explained(check), check.check, error=check.status is Status.ERROR)


def _add_problem(suite: ET.Element, result: GradeResult, problem: Problem, telling: Telling) -> None:
    case = _case(suite, f"{result.exercise}.grading", "The submission can be graded", telling)
    text = _words.told(_words.problem_facts(problem), _words.problem_log(problem))
    message = _words.cut(one_line(problem.what))
    _tell(case, message, text, "grading", error=problem.fault is not Fault.LEARNER)


def _case(suite: ET.Element, class_name: str, name: str, telling: Telling) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": class_name, "name": name, "file": telling.path})


def _tell(case: ET.Element, message: str, text: str, kind: str, *, error: bool) -> None:
    element = ET.SubElement(case, "error" if error else "failure", {"message": message, "type": kind})
    element.text = printable(text)


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, content in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": content})


def _of_the_whole(result: GradeResult) -> dict[str, str]:
    score = {} if result.score is None else {"score": f"{result.score:g}"}
    return {
        "status": str(result.status),
        **score,
        "max_score": f"{result.max_score:g}",
        "submission": one_line(result.submission.name),
        "rubric_digest": result.rubric_digest,
    }


def _counts(result: GradeResult, problem: Problem | None) -> dict[str, str]:
    statuses = [check.status for check in result.checks]
    if problem:
        statuses.append(Status.FAILED if problem.fault is Fault.LEARNER else Status.ERROR)
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count(Status.FAILED)),
        "errors": str(statuses.count(Status.ERROR)),
        "skipped": str(statuses.count(Status.SKIPPED)),
        "time": f"{result.duration:.3f}",
    }
