"""A file that is not there: said in the learner's words, with the reason, and without an engine's noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine.faults import blame, missing
from grader.errors import SubmissionError
from grader.submission import context, dockerfile
from grader.submission.files import File

if TYPE_CHECKING:
    from grader.tests.engine.building import Workshop

SLIM = "FROM debian:bookworm-slim\n"
STAGE = "FROM debian:bookworm-slim AS made\n"
IGNORE = "# what nobody needs\n*.md\n\n!notes.md\nsecret*\nprivate\n!private/key\n"
FILES = {
    "app.py": "x",
    "src/main.py": "x",
    "secret.py": "x",
    "private/data.csv": "x",
    "private/key": "x",
    "notes.md": "x",
    ".dockerignore": IGNORE,
}

# An instruction, what is said to be missing, and what is said to do.
CASES = {
    "misspelt": ("COPY app.pyy /x/", "`app.pyy` is not in the build context", "did you mean `app.py`?"),
    "in other letters": ("COPY App.py /x/", "`App.py` is not in the build context", "did you mean `app.py`?"),
    "misspelt folder": ("COPY srcs/ /x/", "`srcs/` is not in the build context", "did you mean `src`?"),
    "in a folder": ("COPY main.py /x/", "`main.py` is not in the build context", "did you mean `src/main.py`?"),
    "ADD": ("ADD app.pyy /x/", "`app.pyy` is not in the build context", "did you mean `app.py`?"),
    "one of two": ("COPY app.py nothing /x/", "`nothing` is not in the build context", "context has `.dockerignore`,"),
    "left out": (
        "COPY secret.py /x/",
        "line 5 of `.dockerignore` leaves it out",
        "line 5 of `.dockerignore`, or do not",
    ),
    "left out below": ("COPY private/data.csv /x/", "line 6 of `.dockerignore` leaves it out", "or do not copy"),
    "outside": ("COPY ../up.py /x/", "`../up.py` lies outside of the build context", "beside the Dockerfile"),
    "in a stage": (
        "COPY --from=made /w/app /x/",
        "`/w/app` is not in the stage `made`",
        "let the stage `made` make it",
    ),
    "pattern in a stage": ("COPY --from=made /w/*.whl /x/", "`/w/*.whl` is not in the stage `made`", "line 3"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_missing_is_named_with_its_reason_on_every_engine(workshop: Workshop, name: str) -> None:
    instruction, what, fix = CASES[name]
    failure = workshop.build(STAGE + SLIM + instruction + "\n", FILES).failure
    assert isinstance(failure, SubmissionError)
    assert failure.line == 3
    assert what in failure.what
    assert fix in failure.fix
    for noise in ("checksum", "cache key", "::", "/var/", "copier", "lstat", "stat:"):
        assert noise not in failure.what


def test_a_mount_of_a_file_that_is_not_there_is_explained_as_well(workshop: Workshop) -> None:
    text = SLIM + "RUN --mount=type=bind,source=app.pyy,target=/m cat /m/x\n"
    failure = workshop.build(text, FILES).failure
    assert isinstance(failure, SubmissionError)
    if workshop.engine.name != "podman":  # whose message does not come through the API
        assert "`app.pyy` is not in the build context" in failure.what
    assert failure.line == 2


def parts(instruction: str, files: dict[str, str] = FILES) -> tuple[dockerfile.Dockerfile, context.Context]:
    text = (STAGE + SLIM + instruction + "\n").encode()
    packed = context.pack({name: File(each.encode()) for name, each in files.items()} | {"Dockerfile": File(text)})
    return dockerfile.parse(text), packed


SAID = {
    "20.10": 'failed to compute cache key: "/{}" not found: not found',
    "28": 'failed to compute cache key: failed to calculate checksum of ref 14163dc7::jfkjl: "/{}": not found',
    "Podman": 'checking on sources under "/b/build": copier: stat: "/{}": no such file or directory',
    "20.10, a stage": "lstat /{}: no such file or directory",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_each_engines_words_are_understood(said: str) -> None:
    found = missing.explain(said.format("app.pyy"), 3, *parts("COPY app.pyy /x/"))
    assert found is not None
    assert found.what == "`app.pyy` is not in the build context"
    assert found.fix == "Mend line 3 of the Dockerfile: did you mean `app.py`?"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ('failed to compute cache key: "/other.txt" not found: not found', 3),
        ('failed to compute cache key: "/app.pyy" not found: not found', 1),
        ('failed to compute cache key: "/app.pyy" not found: not found', None),
        ("toomanyrequests", 3),
        ("", 3),
    ],
)
def test_nothing_is_explained_that_the_instruction_does_not_ask_for(error: str, line: int | None) -> None:
    assert missing.explain(error, line, *parts("COPY app.pyy /x/")) is None


def test_an_image_is_not_called_a_stage_and_an_empty_context_is_called_empty() -> None:
    found = missing.explain('copier: stat: "/a": no such file or directory', 3, *parts("COPY --from=python:3.11 /a /x"))
    assert found is not None
    assert found.what == "`/a` is not in the image `python:3.11`"
    nothing = parts("COPY a /x")[1]
    empty = missing.explain(SAID["28"].format("a"), 3, parts("COPY a /x")[0], context.Context(b"", 0, (), ()))
    assert empty is not None
    assert "empty" in empty.fix
    assert nothing.files


def test_without_a_context_the_line_is_still_named() -> None:
    found = missing.explain(SAID["28"].format("a"), 3, parts("COPY a /x")[0], None)
    assert found is not None
    assert found.fix == "Mend line 3 of the Dockerfile."


def test_the_line_of_the_ignore_file_is_the_one_that_decides() -> None:
    packed = parts("RUN true")[1]
    assert packed.ignored_by("secret.py") == 5
    assert packed.ignored_by("private/data.csv") == 6
    assert packed.ignored_by("private/key") is None
    assert packed.ignored_by("notes.md") is None
    assert packed.ignored_by("app.py") is None
    twice = parts("RUN true", {"a.py": "x", ".dockerignore": "a.py\n!a.py\n*.py\n"})[1]
    assert twice.ignored_by("a.py") == 3
    own = parts("RUN true", {"a.py": "x", "Dockerfile.dockerignore": "a.py\n", ".dockerignore": "\n\na.py\n"})[1]
    assert (own.ignore_file, own.ignored_by("a.py")) == ("Dockerfile.dockerignore", 1)


def test_what_engines_say_around_the_reason_is_left_out() -> None:
    error = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: Invalid containerPort: abc"
    found = blame.failure(error, None)
    assert found.what == "The Dockerfile asks for something that cannot be done: Invalid containerPort: abc"
    checksum = 'failed to compute cache key: failed to calculate checksum of ref a1b2::c3d4: "/nope.txt": not found'
    assert blame.failure(checksum, None).what == 'A file that is to be copied is not there: "/nope.txt": not found'
