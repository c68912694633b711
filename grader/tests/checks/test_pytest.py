"""An author's own tests, each a verdict; nothing of the learner's is loaded."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from grader import judging
from grader.errors import EngineError, SubmissionError
from grader.result import CheckResult, Fault, Status, silent
from grader.tests.checks.fakes import FakeImage, broken, check, file, subject

if TYPE_CHECKING:
    from pathlib import Path

    from grader.checks.subject import Subject
    from grader.tests.conftest import Grade


def judged(
    folder: Path, source: str, points: float = 10, made: Subject | None = None, **more: Any
) -> tuple[CheckResult, ...]:
    (folder / "checks").mkdir(exist_ok=True)
    (folder / "checks" / "test_it.py").write_text(textwrap.dedent(source))
    heavy = FakeImage([{"app.py": file(2_000_000)}])
    on = made or subject(image=heavy, folder=folder)
    object.__setattr__(on, "folder", folder)
    mine = check("check: pytest, file: checks/test_it.py", id="mine", points=points, **more)
    return judging.judge(on, [mine], silent)


def test_each_test_is_a_verdict(tmp_path: Path) -> None:
    good, bad = judged(
        tmp_path,
        '''
        import pytest

        @pytest.mark.points(7)
        def test_small(image):
            """The app is there."""
            assert "app.py" in image.files

        @pytest.mark.points(3)
        @pytest.mark.hint("First this.")
        @pytest.mark.hint("Then that.")
        @pytest.mark.why("It is pulled by everybody.")
        def test_it_weighs_nothing(image):
            assert image.size == 0
        ''',
    )
    assert (good.id, good.title, good.status, good.score) == ("mine/test_small", "The app is there.", Status.PASSED, 7)
    assert (bad.id, bad.title) == ("mine/test_it_weighs_nothing", "it weighs nothing")
    assert (bad.status, bad.fault, bad.score, bad.max_score) == (Status.FAILED, Fault.LEARNER, 0, 3)
    assert bad.got == "assert 2000000 == 0"
    assert (bad.hints, bad.why) == (("First this.", "Then that."), "It is pulled by everybody.")
    assert any("image.size == 0" in line for line in bad.evidence["log"])


def test_a_message_is_told_once(tmp_path: Path) -> None:
    source = "import pytest\ndef test_a(): pytest.fail('the door is open', pytrace=False)\n"
    (bad,) = judged(tmp_path, source)
    assert (bad.got, bad.evidence["log"]) == ("the door is open", [])


def test_tests_without_points_share_what_is_left(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.points(4)\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n"
    assert [result.max_score for result in judged(tmp_path, source)] == [4, 3, 3]


def test_shares_add_up_to_the_whole(tmp_path: Path) -> None:
    source = "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n"
    assert [result.score for result in judged(tmp_path, source)] == [3.34, 3.33, 3.33]


def test_each_case_of_a_parametrized_test_counts(tmp_path: Path) -> None:
    source = (
        "import pytest\n@pytest.mark.points(5)\n@pytest.mark.parametrize('n', [1, 2])\ndef test_a(n): assert n == 1\n"
    )
    assert [(result.id, result.score) for result in judged(tmp_path, source)] == [
        ("mine/test_a[1]", 5),
        ("mine/test_a[2]", 0),
    ]


@pytest.mark.parametrize("points", [9, 11])
def test_points_that_do_not_add_up_are_the_authors(points: int, tmp_path: Path) -> None:
    source = f"import pytest\n@pytest.mark.points({points})\ndef test_a(): pass\n"
    (result,) = judged(tmp_path, source)
    assert (result.status, result.fault, result.score) == (Status.ERROR, Fault.AUTHOR, None)
    assert f"worth {points} points" in result.got


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def test_a(): {}['x']\n", "test_a raised KeyError"),
        ("def test_a(nothing): pass\n", "nothing"),
        ("import no_such_module\n", "no_such_module"),
        ("def test_a(:\n", "SyntaxError"),
        ("x = 1\n", "there is no test in it"),
        ("import pytest\n@pytest.mark.pionts(1)\ndef test_a(): pass\n", "pionts"),
    ],
)
def test_a_test_that_is_wrong_is_the_authors(source: str, words: str, tmp_path: Path) -> None:
    (result,) = judged(tmp_path, source)
    assert (result.status, result.fault) == (Status.ERROR, Fault.AUTHOR), result
    assert words in str(result)


def test_a_skipped_test_earns_nothing_and_blames_nobody(tmp_path: Path) -> None:
    (result,) = judged(tmp_path, "import pytest\ndef test_a(): pytest.skip('not today')\n")
    assert (result.status, result.fault, result.score) == (Status.SKIPPED, None, 0)


def test_what_the_subject_raises_is_whose_it_is(tmp_path: Path) -> None:
    source = "def test_a(app): pass\ndef test_b(): pass\n"
    first, second = judged(tmp_path, source, made=broken(SubmissionError("The app does not start")))
    assert (first.status, first.got, second.status) == (Status.FAILED, "The app does not start", Status.PASSED)
    (gone,) = judged(tmp_path, source, made=broken(EngineError("gone")))
    assert (gone.status, gone.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)


def test_nothing_but_the_file_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "raise SystemExit('loaded')\n"
    for name in ("conftest.py", "checks/conftest.py", "grader/__init__.py", "pytest.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(evil)
    for name in ("pytest.ini", "tox.ini"):
        (tmp_path / name).write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    (result,) = judged(tmp_path, "def test_a(): print('spoken')\n")
    assert result.status is Status.PASSED, result
    assert capsys.readouterr() == ("", "")
    assert not list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("path", ["../test_a.py", "/test_a.py", "starter/test_a.py", "checks/test_a.sh", "json.py", ""])
def test_the_file_is_the_authors_own(path: str) -> None:
    with pytest.raises(ValueError, match=r"put it beside|no test file"):
        check("check: pytest", file=path)


def test_a_file_that_is_not_there_is_the_authors(tmp_path: Path) -> None:
    made = subject(folder=tmp_path)
    (result,) = judging.judge(made, [check("check: pytest, file: test_a.py")], silent)
    assert (result.status, result.fault) == (Status.ERROR, Fault.AUTHOR)


def test_on_a_real_image(grade: Grade, tmp_path: Path) -> None:
    source = """\
def test_answers(app, fresh):
    assert app.ask("GET", "/index.html").body == b"hello\\n"
def test_runs(container):
    done = container(["python", "-c", "print(6 * 7)"], within=20)
    assert (done.exit_code, done.stdout) == (0, b"42\\n")
def test_one_stage(dockerfile, build, image):
    assert len(dockerfile.stages) == 1
    assert image.config["Cmd"][0] == "python"
    assert any(step.line == 2 for step in build.steps)
"""
    folder = tmp_path / "exercises" / "01-tiny"
    folder.mkdir(parents=True)
    (folder / "test_image.py").write_text(source)
    dockerfile = """\
FROM python:3.11-slim
RUN echo hello > /index.html
CMD ["python", "-m", "http.server", "5000", "--directory", "/"]
"""
    learners = {"conftest.py": "raise SystemExit", "test_image.py": "def test_mine(): pass\n"}
    result = grade(dockerfile, [{"check": "pytest", "file": "test_image.py"}], app={"port": 5000}, files=learners)
    assert [each.id for each in result.checks] == ["pytest/test_answers", "pytest/test_runs", "pytest/test_one_stage"]
    assert (result.status, result.score) == (Status.PASSED, 10), result
