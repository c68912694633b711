from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.result import Status
from grader.tests.checks.fakes import GONE, file, on_image

if TYPE_CHECKING:
    from grader.checks.base import Outcome
    from grader.engine.connect import Engine
    from grader.result import CheckResult
    from grader.tests.conftest import Grade

MB = 1_000_000
WHEELS = {"wheels/a.whl": file(3 * MB), "wheels/b.whl": file(5 * MB)}
INSTALLED = {"lib/a": file(9 * MB), "wheels": GONE}


def test_who_added_it_and_who_hid_it() -> None:
    outcome = on_image("check: layers, max_wasted: 1MB", {"base": file(50 * MB)}, WHEELS, INSTALLED, base=1)
    assert (outcome.status, outcome.line) == (Status.FAILED, 2)
    assert outcome.expected == "at most 1 MB wasted"
    assert outcome.got == (
        "3 layers, 2 of the Dockerfile's own; 8 MB wasted: "
        "line 2 `RUN 0` adds 8 MB that line 3 `RUN 1` deletes, such as /wheels/b.whl"
    )
    (pair,) = outcome.evidence["waste"]
    assert pair["paths"] == [{"path": "/wheels/b.whl", "size": 5 * MB}, {"path": "/wheels/a.whl", "size": 3 * MB}]
    assert (pair["size"], pair["files"], pair["added"]["line"], pair["hidden"]["line"]) == (8 * MB, 2, 2, 3)


@pytest.mark.parametrize(("limit", "verdict"), [("7.999999MB", "failed"), ("8MB", "passed"), ("9MB", "passed")])
def test_the_limit_is_inclusive(limit: str, verdict: str) -> None:
    outcome = on_image(f"check: layers, max_wasted: {limit}", WHEELS, INSTALLED)
    assert outcome.status == verdict
    assert outcome.evidence["wasted"] == 8 * MB


@pytest.mark.parametrize(
    ("later", "verb"),
    [
        ({"wheels": GONE}, "deletes"),
        (WHEELS, "overwrites"),
        ({"wheels/a.whl": file(3 * MB, 0o600), "wheels/b.whl": GONE}, "deletes or overwrites"),
    ],
)
def test_what_became_of_it(later: dict[str, Any], verb: str) -> None:
    assert f"line 3 `RUN 1` {verb}, such as" in on_image("check: layers, max_wasted: 1MB", WHEELS, later).got


def test_what_the_base_image_brought_wastes_nothing() -> None:
    outcome = on_image("check: layers, max_wasted: 1kB", WHEELS, {"wheels": GONE}, base=1)
    assert outcome.status is Status.PASSED


def test_pairs_are_told_until_the_rest_would_pass() -> None:
    layers = [{"a": file(9 * MB)}, {"b": file(5 * MB)}, {"c": file(1 * MB)}, {"a": GONE}, {"b": GONE}, {"c": GONE}]
    outcome = on_image("check: layers, max_wasted: 2MB", *layers)
    assert outcome.got.endswith(
        "line 2 `RUN 0` adds 9 MB that line 5 `RUN 3` deletes, such as /a; "
        "line 3 `RUN 1` adds 5 MB that line 6 `RUN 4` deletes, such as /b"
    )
    assert [pair["size"] for pair in outcome.evidence["waste"]] == [9 * MB, 5 * MB, 1 * MB]


def numbered(text: str, own: int, base: int) -> Outcome:
    return on_image(f"check: layers, {text}", *({f"f{n}": file()} for n in range(base + own)), base=base)


@pytest.mark.parametrize(
    ("text", "own", "base", "verdict"),
    [
        ("max: 5", 2, 3, "passed"),
        ("max: 4", 2, 3, "failed"),
        ("max_own: 2", 2, 9, "passed"),
        ("max_own: 1", 2, 9, "failed"),
        ("max_own: 0", 0, 1, "passed"),
    ],
)
def test_the_number_of_layers(text: str, own: int, base: int, verdict: str) -> None:
    assert numbered(text, own, base).status == verdict


def test_what_could_be_one_instruction_is_named() -> None:
    outcome = numbered("max_own: 2", 3, 2)
    assert outcome.line == 2
    assert outcome.got.startswith("5 layers, 3 of the Dockerfile's own; 0 B wasted")
    assert outcome.got.endswith("lines 2, 3, 4 are one RUN after the other")


def test_a_base_image_of_too_many_layers_is_named() -> None:
    outcome = numbered("max: 3", 1, 5)
    assert outcome.line == 1
    assert outcome.got.endswith("the base image alone has 5")


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no limit"), ("max: 0", "greater than"), ("max: 2, max_own: 3", "more than max"), ("max_wasted: 0", "size")],
)
def test_impossible_limits_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        numbered(text, 1, 1)


# --- on a real engine ---

BUILDER = """\
FROM python:3.11-slim AS builder
RUN mkdir /wheels && head -c 6000000 /dev/urandom > /wheels/a.whl && head -c 1000000 /dev/urandom > /wheels/b.whl
FROM python:3.11-slim
"""
#: Installs a wheel, as far as sizes go.
INSTALL = "mkdir /lib/a && head -c 2000000 /wheels/a.whl > /lib/a/a.so"
COPIED = f"{BUILDER}COPY --from=builder /wheels /wheels\nRUN {INSTALL} && rm -rf /wheels\n"
MOUNTED = f"{BUILDER}RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels {INSTALL}\n"
CHOWNED = f"{BUILDER}COPY --from=builder /wheels /wheels\nRUN chown -R nobody /wheels\n"
IN_ONE = "FROM python:3.11-slim\nRUN head -c 6000000 /dev/urandom > /tmp/x && rm /tmp/x\n"
CHECK = {"check": "layers", "max_wasted": "1MB", "max_own": 3}


def layers_of(grade: Grade, dockerfile: str, on: Engine) -> CheckResult:
    result = grade(dockerfile, [CHECK], on=on)
    assert result.problem is None
    (check,) = result.checks
    return check


@pytest.mark.parametrize("local", [True, False])
def test_wheels_that_are_copied_and_deleted_still_ship(grade: Grade, engine: Engine, *, local: bool) -> None:
    check = layers_of(grade, COPIED, engine if local else replace(engine, local=False))
    assert (check.status, check.line) == (Status.FAILED, 4)
    assert "line 4 `COPY --from=builder /wheels /wheels` adds 7 MB that line 5 `RUN mkdir /lib/a" in check.got
    assert "deletes, such as /wheels/a.whl" in check.got
    assert check.evidence["wasted"] == 7_000_000
    assert [each["path"] for each in check.evidence["waste"][0]["paths"]] == ["/wheels/a.whl", "/wheels/b.whl"]


@pytest.mark.parametrize("dockerfile", [MOUNTED, IN_ONE])
@pytest.mark.parametrize("local", [True, False])
def test_what_never_was_in_a_layer_wastes_nothing(
    grade: Grade, engine: Engine, dockerfile: str, *, local: bool
) -> None:
    check = layers_of(grade, dockerfile, engine if local else replace(engine, local=False))
    assert (check.status, check.evidence["wasted"]) == (Status.PASSED, 0)
    assert check.evidence["own_layers"] == 1


def test_a_change_of_owner_is_a_second_copy(grade: Grade, engine: Engine) -> None:
    check = layers_of(grade, CHOWNED, engine)
    assert "that line 5 `RUN chown -R nobody /wheels` overwrites, such as /wheels/a.whl" in check.got
    assert (check.status, check.line, check.evidence["wasted"]) == (Status.FAILED, 4, 7_000_000)


def test_a_trigger_is_named_by_its_onbuild(grade: Grade, engine: Engine) -> None:
    dockerfile = "FROM python:3.11-slim AS b\nONBUILD RUN head -c 7000000 /dev/urandom > /x\nFROM b\nRUN rm /x\n"
    check = layers_of(grade, dockerfile, engine)
    assert (check.status, check.line) == (Status.FAILED, 2)
    assert "adds 7 MB that line 4 `RUN rm /x` deletes, such as /x" in check.got
