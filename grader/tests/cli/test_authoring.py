"""`grader verify` and `grader new`, as an author's shell starts them."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from grader.authoring import junit
from grader.authoring.proof import Fact, Finding, Proof
from grader.cli import proofs as table
from grader.tests.authoring.tiny import BASE, JUNK, TWO_STAGES, Tiny
from grader.tests.cli.programs import PLAIN, ROOT, run, start
from grader.tests.cli.test_interrupt import interrupted
from grader.tests.conftest import write_files
from grader.tests.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

ROW = "ok 01-tiny  ok 50/100  ok 100/100  ok same  ok 3/3  ok 3/3  ok 3/3  ok     ok"


@pytest.fixture
def tiny(tmp_path: Path, engine: Engine) -> Tiny:
    return Tiny(tmp_path)


# --- grader verify ----------------------------------------------------------------------------------------------------


def test_a_proven_course(tiny: Tiny) -> None:
    tiny.write()
    done = run("grader", "verify", "--course", str(tiny.course))
    assert done.returncode == 0, done.stdout + done.stderr
    assert ROW in done.stdout.splitlines()
    assert done.stdout.endswith("\n1 of 1 exercise proven.\n")
    assert "\x1b" not in done.stdout
    assert "verify: 01-tiny: broken/junk" in done.stderr.splitlines()


def test_findings_say_what_where_and_how_to_mend(tiny: Tiny, tmp_path: Path) -> None:
    tiny.broken["junk"] = f"# fails: staged\n{TWO_STAGES}{JUNK}"
    tiny.write()
    done = run("grader", "verify", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "NO 01-tiny  ok 50/100  ok 100/100  ok same  ok 3/3  NO 2/3  ok 3/3  ok     ok" in done.stdout.splitlines()
    assert (
        "  It does not fail `staged`: 2 stages; the last starts from debian:bookworm-slim\n"
        "    where: solutions/01-tiny/broken/junk/Dockerfile:1\n"
        "    mend:  Make the Dockerfile fail it, or take it out of the first line.\n"
    ) in done.stdout
    assert done.stdout.endswith("\n0 of 1 exercise proven, 2 things to mend.\n")


def test_each_exercise_is_a_row_and_stray_solutions_are_told(tiny: Tiny, tmp_path: Path) -> None:
    tiny.write()
    shutil.copytree(tmp_path / "exercises/01-tiny", tmp_path / "exercises/02-again")
    (tmp_path / "solutions/03-gone").mkdir()
    done = run("grader", "verify", cwd=tmp_path)
    assert done.returncode == 1
    rows = [line[:12] for line in done.stdout.splitlines() if line.startswith(("ok ", "NO "))]
    assert rows == ["ok 01-tiny  ", "NO 02-again ", "NO solutions"]
    assert "This is the solution of no exercise" in done.stdout
    assert "1 of 2 exercises proven" in done.stdout
    named = run("grader", "verify", "1", "01-tiny", cwd=tmp_path)
    assert named.returncode == 0, "an exercise that is named twice is proven once, and the others are not looked at"
    assert "1 of 1 exercise proven." in named.stdout


def test_json_is_all_of_stdout(tiny: Tiny) -> None:
    tiny.broken["junk"] = f"# fails: staged, tidy\n{TWO_STAGES}{JUNK}"
    tiny.write()
    done = run("grader", "verify", "1", "--json", "--course", str(tiny.course))
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert (content["schema"], content["verdict"]) == ("grader.proof/1", "refuted")
    (exercise,) = content["exercises"]
    bad = [fact for fact in exercise["facts"] if fact["verdict"] != "proven"]
    assert [(fact["kind"], fact["subject"]) for fact in bad] == [("broken", "junk")]
    assert bad[0]["findings"][0].keys() == {"what", "fix", "where"}


def test_junit_has_a_case_for_each_fact(tiny: Tiny, tmp_path: Path) -> None:
    tiny.broken["no"] = f"# fails: builds\n{BASE}RUN false\n# \x1b[31m\x00\n"
    tiny.solution = f"{TWO_STAGES}RUN touch '/opt/junk'\n"
    tiny.write()
    report = tmp_path / "verify.xml"
    done = run("grader", "verify", "1", "--course", str(tiny.course), "--junit", str(report))
    assert done.returncode == 1
    assert "NO 01-tiny" in done.stdout
    (suite,) = ET.parse(report).getroot()
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases["the solution scores everything"] == ["failure"]
    assert cases["the starter does not pass"] == []
    assert cases["tidy is failed by a broken Dockerfile"] == []
    assert cases["broken/junk fails what it says"] == []
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(sum(children == ["failure"] for children in cases.values()))


def test_an_engine_that_goes_away_is_no_finding(tiny: Tiny, engine: Engine, tmp_path: Path) -> None:
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("the engine is not reached over a unix socket")
    tiny.broken["junk"] += "# cut the road here\n"
    tiny.write()
    report = tmp_path / "verify.xml"
    arguments = ["verify", "1", "--course", str(tiny.course), "--json", "--junit", str(report)]
    with Proxy(tmp_path / "engine.sock", engine.endpoint, b"# cut the road here") as proxy:
        done = run("grader", *arguments, env={"DOCKER_HOST": proxy.endpoint})
    assert proxy.was_cut.is_set()
    assert done.returncode == 3
    facts = json.loads(done.stdout)["exercises"][0]["facts"]
    assert [fact["findings"] for fact in facts if fact["findings"]] == []
    verdicts = {(fact["kind"], fact["subject"]): fact["verdict"] for fact in facts}
    assert verdicts["solution", ""] == verdicts["starter", ""] == verdicts["files", ""] == "proven"
    assert verdicts["broken", "junk"] == verdicts["broken", "no"] == "unsettled"
    assert verdicts["checks", "tidy"] == "unsettled"
    errors = [case for case in ET.parse(report).getroot().iter("testcase") if case.find("error") is not None]
    assert len(errors) == list(verdicts.values()).count("unsettled")


def test_without_an_engine(tiny: Tiny) -> None:
    tiny.write()
    done = run("grader", "verify", "--course", str(tiny.course), env={"DOCKER_HOST": "unix:///nonexistent"})
    assert (done.returncode, done.stdout) == (3, "")
    assert "mend:" in done.stderr


def test_solutions_may_lie_elsewhere(tiny: Tiny, tmp_path: Path) -> None:
    tiny.write()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "solutions").rename(elsewhere)
    arguments = ["verify", "1", "--course", str(tiny.course)]
    without = run("grader", *arguments)
    assert without.returncode == 2
    assert "no solutions to prove its rubrics with" in without.stderr
    assert "--solutions DIR" in without.stderr
    assert run("grader", *arguments, "--solutions", str(elsewhere)).returncode == 0
    wrong = run("grader", *arguments, "--solutions", str(tmp_path / "nowhere"))
    assert wrong.returncode == 2
    assert "no such folder of solutions" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "nothing-like-it"], "There is no exercise"),
        (["verify", "--junit", "/no/such/folder/x.xml"], "cannot be written there"),
        (["verify", "--course", "/no/such/course"], "/no/such/course"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    done = run("grader", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


FINDING = Finding("what \x1b[31m\x00 < & ]]>", "fix", "x:1")
PROOFS = [
    Proof("01-a", (Fact("rubric"), Fact("starter", told="5/10"), Fact("checks", "x", findings=(FINDING,)))),
    Proof("02-b", (Fact("rubric", unsettled="The engine\x1b went away"), Fact("broken", "y"))),
]


def test_what_a_learners_image_prints_is_data_in_xml(tmp_path: Path) -> None:
    junit.write(PROOFS, tmp_path / "verify.xml")
    first, second = ET.parse(tmp_path / "verify.xml").getroot()
    failure = first.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "what � < & ]]>"
    assert first.attrib == {"name": "01-a", "tests": "3", "failures": "1", "errors": "0"}
    error = second.find("testcase/error")
    assert error is not None
    assert error.get("message") == "The engine� went away"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "rows"),
    [
        (io.StringIO, ["NO 01-a    ok 5/10", "?  02-b    -"]),
        (Terminal, ["✗ 01-a    ✓ 5/10", "? 02-b    -"]),
    ],
)
def test_words_in_a_file_and_ticks_on_a_terminal(
    out: type[io.StringIO], rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    written = out()
    table.write(PROOFS, written)
    text = written.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for row in rows:
        assert any(line.startswith(" ".join(row.split())) for line in lines), text
    assert "\x1b" not in text
    assert "Not looked at: The engine� went away" in text
    assert "0 of 2 exercises proven, 1 thing to mend, 1 not looked at" in text


def test_statements_for_whoever_hears_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    written = Terminal()
    table.write_statements(PROOFS, written)
    lines = written.getvalue().splitlines()
    assert lines[0] == "01-a: not so."
    assert "Proven: the starter does not pass (5/10)." in lines
    assert "02-b: not looked at." in lines
    assert [line for line in lines if line.startswith("    mend:")]
    assert "0 of 2 exercises proven, 1 thing to mend, 1 not looked at" in lines[-1]
    assert not {"✓", "✗", "\x1b"} & set(written.getvalue())


def test_a_fact_that_is_refuted_counts_more_than_one_that_was_not_looked_at() -> None:
    both = Proof("x", (*PROOFS[0].facts, *PROOFS[1].facts))
    assert both.verdict == "refuted"
    assert replace(both, facts=both.facts[3:]).verdict == "unsettled"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows sends no signals to programs")
def test_ctrl_c_leaves_nothing(tiny: Tiny, engine: Engine, tmp_path: Path) -> None:
    tiny.solution = f"{TWO_STAGES}RUN sleep 600 # {tmp_path}\n"
    tiny.write()
    process = start("grader", "verify", "1", "--verbose", cwd=tmp_path)
    assert process.stderr is not None
    # One iterator for both: the second goes on where the first has found its line.
    assert any("01-tiny: solution" in line for line in process.stderr)
    # As BuildKit and Podman write it.
    assert any("FROM" in line and "debian" in line for line in process.stderr)
    interrupted(process, engine, [signal.SIGINT])


# --- grader new -------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    write_files(tmp_path / "exercises", {"course.yaml": "title: A new course\n"})
    return tmp_path


def test_a_new_exercise_is_proven_as_it_stands(empty: Path, engine: Engine) -> None:
    begun = run("grader", "new", "small-images", cwd=empty)
    assert begun.returncode == 0, begun.stderr
    assert "grader verify 01-small-images\n" in begun.stdout
    done = run("grader", "verify", "1", cwd=empty)
    assert done.returncode == 0, done.stdout
    assert "ok 01-small-images  ok 60/100  ok 100/100  ok same  ok 4/4  ok 4/4  ok 4/4" in done.stdout
    assert "  01-small-images  Small images" in run("grader", "list", cwd=empty).stdout


def test_nothing_of_the_template_is_left_in_what_is_written(empty: Path) -> None:
    assert run("grader", "new", "small-images", cwd=empty).returncode == 0
    files = [path for path in empty.rglob("*") if path.is_file()]
    assert [path for path in files if "@" in path.read_text().replace("image@", "")] == []
    assert {path.name for path in files} >= {"rubric.yaml", "README.md", "Dockerfile", ".dockerignore", "app.py"}


def test_a_schema_that_editors_find(empty: Path) -> None:
    assert run("grader", "new", "small-images", cwd=empty).returncode == 0
    rubric = (empty / "exercises/01-small-images/rubric.yaml").read_text()
    first = rubric.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    named = empty / "exercises/01-small-images" / first.partition("=")[2]
    assert f"grader schema > {os.path.relpath(named.resolve(), empty)}" in run("grader", "new", "b", cwd=empty).stdout
    schema = json.loads(run("grader", "schema").stdout)
    jsonschema.validate(yaml.safe_load(rubric), schema)


def test_numbers_go_on(empty: Path) -> None:
    for name, written in (("a", "01-a"), ("10-b", "10-b"), ("c", "11-c")):
        assert f"exercises/{written} " in run("grader", "new", name, cwd=empty).stdout
    solutions = sorted(path.name for path in (empty / "solutions").iterdir())
    assert solutions == ["01-a", "10-b", "11-c"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "There is 01-a already"),
        ("1-b", "There is 01-a already"),
        ("Big Images", "Did you mean `big-images`?"),
        ("../b", "is no name for an exercise"),
        ("b/c", "is no name for an exercise"),
        ("12", "is no name for an exercise"),
        ("", "is no name for an exercise"),
        ("x" * 61, "at most 60"),
        ("known", "There is something already"),
    ],
)
def test_names_that_are_refused(name: str, words: str, empty: Path) -> None:
    assert run("grader", "new", "a", cwd=empty).returncode == 0
    write_files(empty / "solutions/02-known", {"Dockerfile": "mine\n"})
    before = sorted(empty.rglob("*"))
    done = run("grader", "new", name, cwd=empty)
    assert done.returncode == 2
    assert words in done.stderr
    assert sorted(empty.rglob("*")) == before
    assert (empty / "solutions/02-known/Dockerfile").read_text() == "mine\n"


def test_a_course_that_is_named(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = run("grader", "new", "a", "--course", str(empty), cwd=tmp_path_factory.mktemp("elsewhere"))
    assert done.returncode == 0
    assert f"grader verify 01-a --course {empty / 'exercises'}" in done.stdout


def test_without_a_course(tmp_path: Path) -> None:
    before = sorted((ROOT / "exercises").iterdir())
    done = run("grader", "new", "a", cwd=tmp_path)
    assert done.returncode == 2
    assert "There is no course here" in done.stderr
    assert sorted((ROOT / "exercises").iterdir()) == before


def test_an_installed_course_is_not_changed(tmp_path: Path) -> None:
    """A copy of the package with the course in it, as a wheel lays them out."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "grader", site / "grader", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copytree(ROOT / "exercises", site / "grader/exercises")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from grader.cli import main; main()"
    for arguments, words in (
        (["new", "a", "--course", str(site / "grader/exercises")], "came with the grader"),
        (["verify"], "has no solutions"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, str(site), *arguments],
            cwd=tmp_path, env=PLAIN, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
