"""Secrets that a build is given: whether they were used, and where they may not be left. On a real engine."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.result import CheckResult, Fault, Status

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.tests.conftest import Grade

SLIM = "FROM python:3.11-slim\n"
MOUNT = "RUN --mount=type=secret,id=pip-token "
BUILD = {"secrets": {"pip-token": "token-{fresh}"}}
READ = "T=$(cat /run/secrets/pip-token)"


def judged(grade: Grade, text: str, **more: Any) -> CheckResult:
    """What the check says of a Dockerfile below its FROM, which is line 1."""
    check = {"check": "secrets"} | more.pop("check", {})
    grading = {"build": BUILD, "base_images": ("python:3.11-slim",)} | more
    result = grade(text if text.startswith("FROM") else SLIM + text, [check], **grading)
    return result.checks[0]


def test_a_secret_that_is_used_and_left_nowhere_passes(grade: Grade) -> None:
    result = judged(grade, MOUNT + "grep -q '^token-[0-9a-f]\\{16\\}$' /run/secrets/pip-token && touch /app\n")
    assert (result.status, result.score) == (Status.PASSED, 10), result


def test_the_secret_is_another_one_at_each_grading_whatever_is_in_the_cache(grade: Grade) -> None:
    text = MOUNT + f"sha256sum /run/secrets/pip-token > /digest # {secrets.token_hex(4)}\n"
    contents = {"check": "command", "command": ["cat", "/digest"], "text": "{fresh.sha256}"}
    for _ in range(2):
        build = {"secrets": {"pip-token": "{fresh}"}}
        result = grade(SLIM + text, [{"check": "secrets"}, contents], build=build)
        assert [check.status for check in result.checks] == [Status.PASSED] * 2, result.checks


def test_what_was_made_with_a_secret_comes_from_the_cache_in_a_second_build_of_the_same_grading(grade: Grade) -> None:
    text = MOUNT + "wc -c /run/secrets/pip-token > /size\nCOPY app.py /\n"
    cache = {"check": "cache", "twice": True}
    result = grade(SLIM + text, [{"check": "secrets"}, cache], build=BUILD, own={"app.py": "print()\n"})
    assert [check.status for check in result.checks] == [Status.PASSED] * 2, result.checks


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("RUN echo not asked for\n", "did not ask"),
        ("RUN --mount=type=secret,id=other true\n", "did not ask"),
        ("ARG T=token\nENV T=$T\nRUN echo $T\n", "did not ask"),
    ],
    ids=["no mount", "another one", "an argument"],
)
def test_a_secret_that_the_build_did_not_ask_for_fails(grade: Grade, text: str, got: str) -> None:
    result = judged(grade, text)
    assert (result.status, result.fault) == (Status.FAILED, Fault.LEARNER)
    assert got in result.got
    assert result.evidence["unused"] == ["pip-token"]


def test_a_stage_that_the_image_does_not_need_uses_nothing(grade: Grade) -> None:
    text = "FROM python:3.11-slim AS unused\n" + MOUNT + "cat /run/secrets/pip-token\n" + SLIM + "RUN true\n"
    assert "did not ask" in judged(grade, text).got


LEFT = {
    "copied": (MOUNT + "cp /run/secrets/pip-token /root/t", 2, "/root/t as it is"),
    "deleted later": (MOUNT + "cp /run/secrets/pip-token /t\nRUN rm /t", 2, "/t as it is"),
    "overwritten later": (MOUNT + "cp /run/secrets/pip-token /t\nRUN echo > /t", 2, "/t as it is"),
    "only the part that is fresh": (MOUNT + f"{READ}; echo ${{T#token-}} > /t", 2, "/t as it is"),
    "in a file of more": (MOUNT + f"{READ}; echo machine x password $T >> /root/.netrc", 2, "/root/.netrc as it is"),
    "in base64": (MOUNT + f"{READ}; printf user:$T | base64 > /t", 2, "/t in base64"),
    "in hexadecimal": (MOUNT + "python3 -c \"print(open('/run/secrets/pip-token').read().encode().hex())\" > /t", 2,
                       "/t in hexadecimal"),
    "compressed": (MOUNT + "tar czf /t.tgz /run/secrets", 2, "/t.tgz as it is"),
    "as a file's name": (MOUNT + f"{READ}; touch /$T", 2, "the name of /"),
    "as a symlink": (MOUNT + f"{READ}; ln -s $T /link", 2, "the name of /link"),
    "behind 5 MB": (MOUNT + f"{READ}; head -c 5242877 /dev/zero | tr '\\0' x > /t; echo $T >> /t", 2, "/t as it is"),
    "in a hard link": (MOUNT + "cp /run/secrets/pip-token /a && ln /a /b && ln /a /c", 2, " as it is"),
    "in a stage below": (
        "FROM python:3.11-slim AS one\n" + MOUNT + "cp /run/secrets/pip-token /t\nFROM one\nRUN rm /t", 2,
        "/t as it is",
    ),
    "fetched from a stage": (
        "FROM python:3.11-slim AS one\n" + MOUNT + "cp /run/secrets/pip-token /t\n" + SLIM + "COPY --from=one /t /t",
        4, "/t as it is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", LEFT)
def test_a_secret_that_is_left_behind_fails(grade: Grade, way: str) -> None:
    refuse(judged(grade, f"{LEFT[way][0]}\n"), way)


@pytest.mark.parametrize("way", ["deleted later", "compressed", "in a hard link"])
def test_so_it_does_where_layers_are_streamed(grade: Grade, engine: Engine, way: str) -> None:
    refuse(judged(grade, f"{LEFT[way][0]}\n", on=replace(engine, local=False)), way)


def refuse(result: CheckResult, way: str) -> None:
    _, line, got = LEFT[way]
    assert (result.status, result.fault, result.line) == (Status.FAILED, Fault.LEARNER, line), result
    assert "the secret `pip-token`" in result.got
    assert got in result.got
    assert not re.search(r"token-[0-9a-f]{16}", repr(result)), "a result does not tell the secret"


def test_a_secret_in_an_earlier_stage_alone_is_not_in_the_image(grade: Grade) -> None:
    text = "FROM python:3.11-slim AS one\n" + MOUNT + "cp /run/secrets/pip-token /t; touch /x\n" + SLIM
    assert judged(grade, text + "COPY --from=one /x /x\n").status is Status.PASSED


FIXED = "s3cret-of-the-course"


@pytest.mark.parametrize(
    ("text", "line", "place"),
    [
        (f"ENV PIP={FIXED}\n", 3, "ENV PIP"),
        (f"ARG PIP={FIXED}\n", 3, "ARG PIP"),
        (f"ARG PIP={FIXED}\nRUN echo $PIP > /dev/null\n", 3, "ARG PIP"),
        (f"LABEL pip={FIXED}\n", 3, "LABEL pip"),
        (f'LABEL "{FIXED}"=1\n', 3, "the name of a label"),
        (f"RUN echo {FIXED} > /dev/null\n", 3, "the history"),
        (f'CMD ["serve", "--token={FIXED}"]\n', 3, "Cmd"),
        (f"HEALTHCHECK CMD curl -H token:{FIXED} http://localhost\n", 3, "Healthcheck"),
        (f"ENV PIP={base64.b64encode(FIXED.encode()).decode()}\n", 3, "ENV PIP in base64"),
        (f"ENV PIP={FIXED}\nENV PIP=\n", 3, "the history"),
    ],
)
def test_a_secret_in_the_words_of_an_image_fails(grade: Grade, text: str, line: int, place: str) -> None:
    build = {"secrets": {"pip-token": FIXED}}
    result = judged(grade, MOUNT + "test -s /run/secrets/pip-token\n" + text, build=build)
    assert (result.status, result.line) == (Status.FAILED, line), result
    assert place in result.got
    assert FIXED not in repr(result)


# Written so that no scanner of repositories takes this file for a leak.
TOKEN = "ghp" + "_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("COPY .env /app/\n", "a GitHub token is in /app/.env"),
        (
            f"RUN git config --global url.https://{TOKEN}@github.com/.insteadOf x || true\n",
            "a GitHub token is in the h",
        ),
        (f"ENV GITHUB={TOKEN}\n", "a GitHub token is in ENV GITHUB"),
        ("ENV DB_PASSWORD=hunter2\n", "a secret, by its name, is in ENV DB_PASSWORD"),
    ],
)
def test_what_looks_like_a_key_fails_though_the_rubric_does_not_know_it(grade: Grade, text: str, got: str) -> None:
    own = {".env": f"GITHUB_TOKEN={TOKEN}\n"}
    result = judged(grade, text, build={}, own=own)
    assert (result.status, result.line) == (Status.FAILED, 2), result
    assert got in result.got
    assert TOKEN not in repr(result)
    assert judged(grade, text, build={}, own=own, check={"patterns": False}).status is Status.PASSED


def test_what_the_base_image_brought_is_not_the_learners(grade: Grade) -> None:
    assert judged(grade, "RUN touch /x\n", build={}).status is Status.PASSED


PACKAGE = (
    "COPY .env /usr/lib/python3/dist-packages/it/tests/key.txt\n"
    "RUN mkdir /usr/lib/python3/dist-packages/it-1.0.dist-info && "
    "printf 'it/tests/key.txt,sha256=x,9\\nit-1.0.dist-info/RECORD,,\\n'"
    " > /usr/lib/python3/dist-packages/it-1.0.dist-info/RECORD\n"
)


def test_the_key_in_a_packages_tests_is_the_packages_own(grade: Grade) -> None:
    own = {".env": f"{TOKEN}\n"}
    assert judged(grade, PACKAGE, build={}, own=own).status is Status.PASSED
    result = judged(grade, PACKAGE + "COPY .env /usr/lib/python3/dist-packages/it/\n", build={}, own=own)
    assert (result.status, result.line) == (Status.FAILED, 4)


def test_a_package_is_no_hiding_place_for_a_secret_that_is_known(grade: Grade) -> None:
    hidden = PACKAGE.replace("COPY .env ", MOUNT + "mkdir -p /usr/lib/python3/dist-packages/it/tests && cp "
                             "/run/secrets/pip-token ")  # fmt: skip
    assert judged(grade, hidden).status is Status.FAILED


def test_only_the_secrets_that_are_named_have_to_be_used_but_none_may_be_left(grade: Grade) -> None:
    build = {"secrets": {"pip-token": "{fresh}", "other": "other-{fresh}"}}
    text = MOUNT + "test -s /run/secrets/pip-token\n"
    assert judged(grade, text, build=build, check={"secrets": ["pip-token"]}).status is Status.PASSED
    assert "`other`" in judged(grade, text, build=build).got
    left = "RUN --mount=type=secret,id=other cp /run/secrets/other /o\n"
    assert judged(grade, text + left, build=build, check={"secrets": ["pip-token"]}).line == 3


def test_a_secret_that_the_rubric_does_not_give_is_its_authors_mistake(grade: Grade) -> None:
    result = judged(grade, MOUNT + "true\n", check={"secrets": ["npm-token"]})
    assert (result.status, result.fault) == (Status.ERROR, Fault.AUTHOR)
    assert "`npm-token`" in result.got


def test_a_required_secret_under_another_name_fails_with_both_names(grade: Grade) -> None:
    result = judged(grade, MOUNT.replace("pip-token", "piptoken,required=true") + "true\n")
    assert (result.status, result.fault, result.line) == (Status.FAILED, Fault.LEARNER, 2)
    assert "`piptoken`" in result.got
    assert "`pip-token`" in result.evidence["fix"]


def test_the_mark_against_the_cache_is_not_seen_by_the_step_nor_left_by_it(grade: Grade) -> None:
    alone = (
        "test $(ls -A /run/secrets) = pip-token && ! env | grep -i grader"
        " && ! grep -v /sys/fs/cgroup /proc/self/mountinfo | grep grader-"
    )
    result = judged(grade, MOUNT + alone + "\n")
    assert result.status is Status.PASSED, result
    paths = {"check": "absent", "paths": ["/run/secrets/**"]}
    assert grade(SLIM + MOUNT + "true\n", [paths], build=BUILD).checks[0].status is Status.PASSED
