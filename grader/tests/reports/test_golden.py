"""Every format but those of people's terminals, for one result of each kind, held against a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.reports import _workflow
from grader.tests.reports.results import ALL
from grader.tests.reports.telling import told
from grader.tests.reports.weights import BEYOND, HALF

GOLDEN = Path(__file__).parent / "golden"
EXTENSION = {
    "github-classroom": "txt", "classroom50": "json", "gradescope": "json", "junit": "xml", "markdown": "md",
    "sarif": "sarif", "annotations": "txt", "csv": "csv",
}  # fmt: skip
RESULTS = ALL | {"half": HALF, "beyond": BEYOND}
#: What Classroom 50's runner would say of a submission.
SURROUNDINGS = {
    "CLASSROOM": "images", "ASSIGNMENT": "stages", "ASSIGNMENT_TYPE": "individual", "OWNER": "ada",
    "SUBMISSION_TAG": "submit/2026-11-23T09-59-58Z-a1b2c3d", "COMMIT_URL": "https://github.com/o/r/commit/a1b2c3d",
    "RELEASE_URL": "https://github.com/o/r/releases/tag/x", "REVIEW_URL": "https://github.com/o/r/compare/a...b",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXTENSION))
@pytest.mark.parametrize("result", sorted(RESULTS))
def test_golden(name: str, result: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workflow, "token", lambda: "0" * 32)
    monkeypatch.setattr("grader.reports.sarif.__version__", "1.2.3")
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    for variable, content in SURROUNDINGS.items():
        monkeypatch.setenv(variable, content)
    file = GOLDEN / f"{name}-{result}.{EXTENSION[name]}"
    assert told(name, RESULTS[result]) == file.read_text(encoding="utf-8")
