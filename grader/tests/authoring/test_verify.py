"""What `grader verify` finds, each on a real engine: an exercise that is proven, with one thing taken from it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from grader.checks.absent import Absent
from grader.checks.base import Outcome, OutcomePart, failed, passed
from grader.checks.build import Build
from grader.errors import RubricError
from grader.result import Status
from grader.tests.authoring.tiny import BASE, JUNK, TWO_STAGES, Tiny

if TYPE_CHECKING:
    from pathlib import Path

    from grader.authoring.proof import Proof
    from grader.checks.subject import Subject
    from grader.engine.connect import Engine

Findings = Callable[[Tiny], list[str]]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.chdir(tmp_path)
    return Tiny(tmp_path)


@pytest.fixture
def findings(engine: Engine) -> Findings:
    """Lines like `starter: what; where`, of all that was found."""

    def prove(tiny: Tiny) -> list[str]:
        return lines(tiny.proof(engine))

    return prove


def lines(proof: Proof) -> list[str]:
    assert not [fact for fact in proof.facts if fact.unsettled]
    found = [f"{fact.kind}: {one.what}; {one.where}" for fact in proof.facts for one in fact.findings]
    assert all(one.fix for one in proof.findings)
    return found


def test_what_is_proven_is_proven(tiny: Tiny, engine: Engine) -> None:
    proof = tiny.proof(engine)
    assert lines(proof) == []
    assert proof.verdict == "proven"
    told = {(fact.kind, fact.subject): fact.told for fact in proof.facts}
    assert told["starter", ""] == "50/100"
    assert told["solution", ""] == "100/100"
    assert told["again", ""] == "same"
    assert told["checks", "tidy"] == "junk"
    assert told["broken", "junk"] == "tidy"


# --- starter and solution ---------------------------------------------------------------------------------------------


def test_a_starter_that_passes(tiny: Tiny, findings: Findings) -> None:
    tiny.starter = TWO_STAGES
    what = "The starter passes: it has 100 points, and 100 are enough"
    assert findings(tiny) == [f"starter: {what}; exercises/01-tiny/rubric.yaml:6"]


def test_a_starter_that_cannot_be_built_is_graded_all_the_same(tiny: Tiny, findings: Findings) -> None:
    tiny.starter = "FORM debian\n"
    assert findings(tiny) == []


def test_a_solution_that_misses_points(tiny: Tiny, findings: Findings) -> None:
    tiny.solution = TWO_STAGES + JUNK
    (found,) = findings(tiny)
    assert found.startswith("solution: The solution does not pass `tidy`: /opt/junk")
    assert found.endswith("; solutions/01-tiny/Dockerfile:5")


def test_a_solution_whose_bonus_makes_up_for_a_miss_is_none(tiny: Tiny, findings: Findings) -> None:
    tiny.rubric["checks"].append({**tiny.check("staged"), "id": "more", "bonus": True})
    tiny.broken["one"] = tiny.broken["one"].replace("staged", "staged, more")
    tiny.rubric["pass"] = 60
    tiny.solution = TWO_STAGES + JUNK
    assert [one.split(": /opt")[0] for one in findings(tiny)] == ["solution: The solution does not pass `tidy`"]


@pytest.mark.parametrize(
    ("first_line", "expected"),
    [
        ("# leaves: more\n", []),
        ("", ["solution: The solution does not pass `more`: 2 stages; solutions/01-tiny/Dockerfile:3"]),
        (
            "# leaves: more, tidy\n",
            ["solution: The solution does not leave `tidy`; solutions/01-tiny/Dockerfile:1"],
        ),
    ],
    ids=["said", "unsaid", "said of what is earned"],
)
def test_a_bonus_is_taken_or_said_to_be_left(
    first_line: str, expected: list[str], tiny: Tiny, findings: Findings
) -> None:
    bonus = {"id": "more", "check": "dockerfile", "stages": {"min": 3}, "bonus": True, "points": 5, "hints": ["More."]}
    tiny.rubric["checks"].append(bonus)
    tiny.solution = first_line + TWO_STAGES
    tiny.broken["junk"] = tiny.broken["junk"].replace("tidy", "tidy, more")
    tiny.broken["one"] = tiny.broken["one"].replace("staged", "staged, more")
    assert findings(tiny) == expected


def test_a_flaky_check(tiny: Tiny, findings: Findings) -> None:
    """A limit on the time to build: the first run has to work for it, the second finds everything in the cache."""
    tiny.check("builds")["within"] = "2s"
    tiny.solution = f"{TWO_STAGES}RUN sleep 3 # {secrets.token_hex(4)}\n"
    (found,) = findings(tiny)
    assert found.startswith("again: `builds` is flaky: failed (built in ")
    assert "), then passed (built in " in found
    assert found.endswith("; exercises/01-tiny/rubric.yaml:10")


def test_without_a_solution(tiny: Tiny, engine: Engine) -> None:
    tiny.solution, tiny.broken = None, {}
    proof = tiny.proof(engine)
    assert [(one.what, one.where) for one in proof.findings][:1] == [("There is no such folder", "solutions/01-tiny")]
    assert {fact.kind for fact in proof.facts if fact.findings} == {"solution", "again", "checks"}


def test_without_a_dockerfile_in_the_solution(tiny: Tiny, findings: Findings) -> None:
    tiny.solution = None
    (found,) = findings(tiny)
    assert found.startswith("solution: The solution does not pass `builds`: There is no Dockerfile")


# --- the broken ones --------------------------------------------------------------------------------------------------


def test_a_check_that_nothing_fails(tiny: Tiny, findings: Findings) -> None:
    everybody = {"id": "few", "check": "dockerfile", "stages": {"max": 9}, "points": 5, "hints": ["None needed."]}
    tiny.rubric["checks"].append(everybody)
    assert findings(tiny) == ["checks: No broken Dockerfile fails `few`; exercises/01-tiny/rubric.yaml:32"]


def test_a_rubric_that_passes_everybody(tiny: Tiny, findings: Findings) -> None:
    everybody = {"id": "few", "check": "dockerfile", "stages": {"max": 9}, "points": 100, "hints": ["None needed."]}
    tiny.rubric["checks"] = [everybody]
    tiny.broken = {"one": f"# fails: few\n{BASE}"}
    assert [one.split(";")[0] for one in findings(tiny)] == [
        "starter: The starter passes: it has 100 points, and 100 are enough",
        "checks: No broken Dockerfile fails `few`",
        "broken: It does not fail `few`: 1 stage",
    ]


def test_a_broken_dockerfile_that_fails_another_check_than_it_says(tiny: Tiny, findings: Findings) -> None:
    tiny.broken["junk"] = f"# fails: tidy\n{BASE}"
    (unproven, unfailed, failed) = findings(tiny)
    assert unproven.startswith("checks: No broken Dockerfile fails `tidy`")
    assert unfailed == "broken: It does not fail `tidy`: none of them; solutions/01-tiny/broken/junk/Dockerfile:1"
    assert failed == "broken: It fails `staged` as well: 1 stage; solutions/01-tiny/broken/junk/Dockerfile:2"


def test_a_broken_dockerfile_that_fails_more_than_it_says(tiny: Tiny, findings: Findings) -> None:
    tiny.broken["both"] = f"# fails: tidy\n{BASE}{JUNK}"
    expected = "broken: It fails `staged` as well: 1 stage; solutions/01-tiny/broken/both/Dockerfile:2"
    assert findings(tiny) == [expected]


@pytest.mark.parametrize("first_line", ["", "# It fails: tidy\n", "# fails:\n", "# fails: tidy staged\n"])
def test_a_broken_dockerfile_that_does_not_say_what_it_fails(first_line: str, tiny: Tiny, engine: Engine) -> None:
    tiny.broken["junk"] = first_line + TWO_STAGES + JUNK
    (finding,) = tiny.proof(engine).findings
    assert finding.what == "The first line does not name the checks that this Dockerfile fails"
    assert finding.where == "solutions/01-tiny/broken/junk/Dockerfile:1"
    assert finding.fix.startswith("Begin it with `# fails: tidy`")


def test_parser_directives_stand_above_the_first_line(tiny: Tiny, findings: Findings) -> None:
    tiny.broken["junk"] = f"# escape=`\n# fails: tidy\n{TWO_STAGES}RUN touch `\n  /opt/junk\n"
    assert findings(tiny) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tidyy", "There is no check `tidyy`"),
        ("staged", "`staged` is skipped, not failed: not judged, because “builds” did not pass"),
    ],
)
def test_a_broken_dockerfile_that_names_what_does_not_fail(
    name: str, expected: str, tiny: Tiny, engine: Engine
) -> None:
    tiny.broken["no"] = tiny.broken["no"].replace("builds", f"builds, {name}")
    (finding,) = tiny.proof(engine).findings
    assert finding.what == expected
    assert finding.where == "solutions/01-tiny/broken/no/Dockerfile:1"
    assert "Did you mean `tidy`?" in finding.fix or name != "tidyy"


def test_what_needs_a_failed_check_is_not_failed(tiny: Tiny, findings: Findings) -> None:
    tiny.rubric["checks"].append(tiny.check("tidy") | {"id": "tidier", "paths": ["/opt/j*"], "needs": ["tidy"]})
    (found,) = findings(tiny)
    assert found.startswith("checks: No broken Dockerfile fails `tidier`")


def test_a_build_that_no_check_asks_for_is_told(tiny: Tiny, findings: Findings) -> None:
    tiny.rubric["checks"] = [tiny.check("staged")]
    tiny.rubric["pass"] = 50
    tiny.broken = {"one": f"# fails: staged\n{BASE}RUN exit 7\n"}
    (found,) = findings(tiny)
    assert found.startswith("broken: No image comes of it, and no check says so: ")
    assert found.endswith("; solutions/01-tiny/broken/one/Dockerfile:3")


def test_what_a_rubric_keeps_from_learners_its_author_is_told(tiny: Tiny, findings: Findings) -> None:
    for check in tiny.rubric["checks"]:
        check["show"] = "nothing"
    assert findings(tiny) == []
    tiny.solution = TWO_STAGES + JUNK
    (found,) = findings(tiny)
    assert "/opt/junk" in found


def test_a_broken_submission_may_be_more_than_a_dockerfile(tiny: Tiny, findings: Findings) -> None:
    tiny.files = {
        "exercises/01-tiny/starter/junk": "",
        "solutions/01-tiny/.dockerignore": "junk\n",
        "solutions/01-tiny/broken/junk/.dockerignore": "# nothing is left out\n",
        "solutions/01-tiny/broken/one/.dockerignore": "junk\n",
    }
    copies = "COPY . /opt/\n"
    tiny.solution = TWO_STAGES + copies
    tiny.broken["junk"] = f"# fails: tidy\n{TWO_STAGES}{copies}"
    tiny.broken["one"] += copies
    assert findings(tiny) == []


# --- a check that is many ---------------------------------------------------------------------------------------------


@pytest.fixture
def _parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check `tidy` consists of two: no line with `junk-a`, none with `junk-b`."""

    def run(_check: object, subject: Subject) -> Outcome:
        text = "\n".join(subject.dockerfile.lines)
        results = {name: failed if f"junk-{name}" in text else passed for name in "ab"}
        parts = (OutcomePart(name, name, 20, how(expected="", got=f"as {name}")) for name, how in results.items())
        return Outcome(Status.PASSED, "", "", parts=tuple(parts))

    monkeypatch.setattr(Absent, "run", run)


@pytest.mark.usefixtures("_parted")
@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"a": "tidy/a", "b": "tidy"}, []),
        ({"a b": "tidy"}, []),
        ({"a b": "tidy/a, tidy/b"}, []),
        ({"a": "tidy"}, ["checks: No broken Dockerfile fails `tidy/b`"]),
        ({"a": "tidy/a", "b": "tidy/b, tidy/c"}, ["broken: There is no check `tidy/c`"]),
        ({"a b": "tidy/a"}, ["broken: It fails `tidy/b` as well: as b"]),
    ],
)
def test_each_verdict_of_a_check_is_failed_by_a_broken_dockerfile(
    broken: dict[str, str], expected: list[str], tiny: Tiny, engine: Engine
) -> None:
    del tiny.broken["junk"]
    for number, (parts, claim) in enumerate(broken.items()):
        junk = "".join(f"# junk-{part}\n" for part in parts.split())
        tiny.broken[f"junk-{number}"] = f"# fails: {claim}\n{TWO_STAGES}{junk}"
    found = lines(tiny.proof(engine, remember=False))
    assert [one.split(";")[0] for one in found] == expected


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_rubric_that_cannot_be_read(tiny: Tiny, findings: Findings) -> None:
    tiny.check("tidy")["pathes"] = ["/x"]
    (found,) = findings(tiny)
    assert found.startswith("rubric: Unknown key `pathes` in check `tidy`. Did you mean `paths`?")
    assert "exercises/01-tiny/rubric.yaml:" in found


def test_a_check_that_cannot_be_judged_through_the_rubric(
    tiny: Tiny, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_check: object, _subject: object) -> Outcome:
        raise RubricError("The list does not exist", "Write it.", where="list.txt:1")

    monkeypatch.setattr(Build, "run", refuse)
    found = lines(tiny.proof(engine, remember=False))
    assert [one for one in found if one.startswith(("starter", "solution", "again"))] == [
        "starter: `builds` could not be judged: The list does not exist; list.txt:1",
        "solution: `builds` could not be judged: The list does not exist; list.txt:1",
    ]
    assert "broken: `builds` could not be judged: The list does not exist; list.txt:1" in found
