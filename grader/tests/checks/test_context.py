from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from grader.result import Status
from grader.submission.files import File
from grader.tests.checks.fakes import check, subject

if TYPE_CHECKING:
    from grader.checks.base import Outcome
    from grader.tests.conftest import Grade

COPY_ALL = "FROM base\nRUN a\nCOPY . .\n"


def sent(text: str, files: dict[str, str | int], dockerfile: str = COPY_ALL) -> Outcome:
    """What the check finds; a file is given by its text or by its size."""
    made = {path: File(b"x" * what if isinstance(what, int) else what.encode()) for path, what in files.items()}
    return check(f"check: context, {text}").run(subject(dockerfile=dockerfile, files=made))


@pytest.mark.parametrize(
    ("text", "files", "words"),
    [
        ("max_size: 1kB", {"a": 900}, ""),
        ("max_size: 1kB", {"a": 2000, "b": 1}, "a alone is 2 kB"),
        ("max_size: 1kB", {"a": 2000, ".dockerignore": "a"}, ""),
        ("max_files: 2", {"a": 1}, ""),
        ("max_files: 2", {"a": 1, "b": 1}, "3 files"),
        ("max_files: 2", {"m/a": 1, "m/n/b": 1, "o/c": 1}, "4 files; 2 of them are in m/"),
        ("absent: [.env]", {"env": 1}, ""),
        ("absent: [.env]", {"sub/.env": 1}, ""),
        ("absent: [.env]", {".env": 1}, "`.env` as the last line of .dockerignore"),
        ("absent: [.env]", {".env": 1, ".dockerignore": ".env"}, ""),
        ("absent: [.env]", {".env": 1, ".dockerignore": ".env\n!.env"}, "`.env` as the last line of .dockerignore"),
        ("absent: ['**/.env']", {"a/b/.env": 1}, "a/b/.env is sent"),
        ("absent: ['**/.env']", {".env": 1}, ".env is sent"),
        ("absent: [.git]", {".git/a": 1, ".git/b/c": 1}, "2 files, such as .git/a, are sent"),
        ("absent: [.git/]", {".git/a": 1}, ".git/a is sent"),
        ("absent: [/.git]", {".git/a": 1}, ".git/a is sent"),
        ("absent: ['*.pyc', '**/__pycache__']", {"a/__pycache__/b.pyc": 1}, "a/__pycache__/b.pyc is sent"),
        ("absent: ['*']", {".dockerignore": "*"}, ""),
        ("present: [app.py]", {"app.py": 1}, ""),
        ("present: [src]", {"src/app.py": 1}, ""),
        ("present: [app.py]", {"a.py": 1}, "no app.py is sent: there is no such file"),
        ("present: [app.py]", {"app.py": 1, ".dockerignore": "*"}, "app.py is left out by .dockerignore"),
        ("present: [Dockerfile]", {".dockerignore": "*"}, ""),
        ("ignored: [.git/HEAD]", {"a": 1}, ".git/HEAD would be sent: there is no .dockerignore"),
        ("ignored: [.git/HEAD]", {".dockerignore": ".git"}, ""),
        ("ignored: [.git/HEAD]", {".dockerignore": "*\n!app.py"}, ""),
        ("ignored: [.git/HEAD]", {".dockerignore": ".git/*.txt"}, ".dockerignore does not leave it out"),
        ("ignored: [.git/HEAD]", {".dockerignore": "*\n!.git"}, ".dockerignore does not leave it out"),
        ("ignored: [a/.env, a/b]", {".dockerignore": "**/.env"}, "a/b would be sent"),
        ("ignored: [.git/HEAD]", {"Dockerfile.dockerignore": ".git", ".dockerignore": "x"}, ""),
        ("ignored: [Dockerfile]", {".dockerignore": "*"}, "Dockerfile would be sent"),
    ],
)
def test_what_is_asked_of_the_context(text: str, files: dict[str, str | int], words: str) -> None:
    outcome = sent(text, files)
    assert outcome.status is (Status.FAILED if words else Status.PASSED), outcome
    assert words in outcome.got
    json.dumps(outcome.evidence)


@pytest.mark.parametrize(
    ("dockerfile", "line"),
    [
        ("FROM base\nCOPY . .", 2),
        ("FROM base\nADD ./ /x", 2),
        ("FROM base\nCOPY a b /x/\nCOPY .env /x", 3),
        ('FROM base\nCOPY ["a", ".env", "/x/"]', 2),
        ("FROM base\nCOPY .e* /x", 2),
        ("FROM base\nCOPY a .", None),
        ("FROM base AS one\nRUN x\nFROM base\nCOPY --from=one . .", None),
        ("FROM base AS one\nCOPY --chown=1 . .\nFROM base", 2),
        ("FROM base\nRUN echo COPY . .", None),
        ("FROM base\nCOPY <<. /x\n.\n", None),
        ("FROM base\nCOPY ../.. /x", 2),
        ("FROM base\nCOPY [z-a] /x", None),
    ],
)
def test_the_line_is_that_of_the_copy_that_takes_it_in(dockerfile: str, line: int | None) -> None:
    outcome = sent("absent: [.env]", {".env": 1}, dockerfile)
    assert outcome.status is Status.FAILED
    assert outcome.line == line
    assert ("takes it into the image" in outcome.got) is (line is not None)


def test_hints_of_its_own_lead_step_by_step() -> None:
    """The line for .dockerignore is the answer, which a first verdict does not give away where hints lead to it."""
    outcome = sent("absent: [.env], hints: ['What is sent?', 'The file .env']", {".env": 1})
    assert (".env is sent" in outcome.got, "as the last line" in outcome.got) == (True, False)


def test_what_is_expected_is_one_phrase() -> None:
    text = "max_size: 1kB, max_files: 2, absent: [.env, a], present: [b], ignored: [.git/HEAD]"
    wanted = "of at most 1 kB, at most 2 files, without .env, a, with b, that would have no .git/HEAD either"
    assert sent(text, {"b": 1}).expected == f"a build context {wanted}"


def test_everything_that_is_wrong_is_told() -> None:
    outcome = sent("absent: [.env, .git], present: [b], max_size: 10B, max_files: 1", {".env": 5, ".git/a": 20})
    assert [word in outcome.got for word in (".env is sent", ".git/a is sent", "no b is sent", ".git/a alone", "3 f")]
    assert (outcome.evidence["files"], outcome.evidence["largest"][0]) == (3, ("Dockerfile", len(COPY_ALL)))


@pytest.mark.parametrize(
    "text",
    ["", "absent: ['']", "absent: ['#x']", "absent: ['!x']", "absent: ['[a']", "absent: [' ']", "max_files: 0",
     "max_size: 0", "absent: .git", "present: ['!']", "ignored: ['*.env']", "ignored: [/a]", "ignored: ['']"],
)  # fmt: skip
def test_what_asks_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(f"check: context, {text}".rstrip(", "))


def test_a_dockerignore_makes_the_difference(grade: Grade) -> None:
    checks = [{"check": "context", "absent": [".env", "data"], "max_size": "10kB", "present": ["app.py"]}]
    own = {".env": "SECRET=1", "data/big": "x" * 20_000, "app.py": ""}
    dockerfile = "FROM python:3.11-slim\nCOPY . /app\n"
    (without,) = grade(dockerfile, checks, own=own).checks
    assert (without.status, without.line) == (Status.FAILED, 2)
    assert "data/big alone is 20 kB" in without.got
    (having,) = grade(dockerfile, checks, own=own, files={".dockerignore": ".env\ndata\n"}).checks
    assert having.status is Status.PASSED, having


def test_what_the_check_calls_sent_is_what_the_image_can_get(grade: Grade) -> None:
    """The Dockerfile's own COPY is the witness: it takes in all that was sent, and nothing else."""
    checks: list[dict[str, object]] = [
        {"id": "none", "check": "context", "absent": ["**/*.pyc", "data"]},
        {"id": "kept", "check": "context", "present": ["data/keep/me"]},
        {"id": "copied", "check": "present", "path": "/all/data/keep/me"},
        {"id": "left-out", "check": "absent", "paths": ["/all/data/drop", "/all/**/*.pyc"]},
    ]
    own = {"a/b/c.pyc": "", "data/drop": "", "data/keep/me": ""}
    files = {".dockerignore": "**/*.pyc\ndata\n!data/keep\n"}
    none, *others = grade("FROM python:3.11-slim\nCOPY . /all\n", checks, own=own, files=files).checks
    assert (none.status, none.line) == (Status.FAILED, 2)
    assert none.got.startswith(
        "data/keep/me is sent and `COPY . /all` takes it into the image; `data` as the last line"
    )
    assert [one.status for one in others] == [Status.PASSED] * 3
