"""A registry that does not send a base image: never a learner's failure, and said so that somebody can mend it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from grader.cli.grade import exit_code
from grader.engine import bases, leftovers, pull
from grader.errors import ExitCode
from grader.result import Fault, Status
from grader.tests.engine.registry import LABELS, Registry, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine
    from grader.result import GradeResult
    from grader.tests.conftest import Grade


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    if not engine.local or engine.name != "docker":
        pytest.skip("the engine does not see this machine's 127.0.0.1, or wants TLS there")
    # No engine has its layer yet.
    with serving(engine.platform.split("/")[1], os.urandom(1000)) as found:
        yield found
        for image in engine.client.images(filters={"label": f"{leftovers.RUN}={LABELS[leftovers.RUN]}"}):
            engine.client.remove_image(image["Id"], force=True)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ((401, "UNAUTHORIZED"), ("did not let us pull", "docker login")),
        ((404, "MANIFEST_UNKNOWN"), ("The registry has no image", "Check the name and the tag")),
        ((429, "TOOMANYREQUESTS"), ("too many pulls", "Wait")),
        ((503, "UNAVAILABLE"), ("trying again did not help", "Try later")),
        pytest.param(
            None,
            ("trying again did not help", "Try later"),
            marks=pytest.mark.skipif(
                not os.environ.get("GRADER_EVERY_FAULT"), reason="an engine itself tries for more than a minute"
            ),
        ),
    ],
    ids=["401", "404", "429", "503", "half a layer"],
)
def test_a_registry_that_fails_is_told_and_passes(  # noqa: PLR0917  # what it takes
    engine: Engine,
    registry: Registry,
    grade: Grade,
    monkeypatch: pytest.MonkeyPatch,
    fault: tuple[int, str] | None,
    told: tuple[str, str],
) -> None:
    monkeypatch.setattr(pull, "_PAUSE", 0.01)
    reference = f"{registry.host}/base:1"
    registry.faults = [fault] * 50 if fault else []
    if fault is None:
        registry.halved.set()
        if engine.at_least(23):
            # Newer engines try for minutes by themselves; the time for pulling is over before that.
            monkeypatch.setattr(bases, "ensure", partial(bases.ensure, timeout=3.0))
            told = ("did not answer in time", "Check the network")

    def graded() -> GradeResult:
        return grade(f"FROM {reference}\nLABEL a=b\n", [{"check": "size", "max": "1MB"}], base_images=(reference,))

    result = graded()
    assert (result.status, result.score) == (Status.ERROR, None)
    assert result.problem is not None
    # Which image there has to be is for the exercise's author to know.
    whose, code = (Fault.AUTHOR, ExitCode.USAGE) if fault and fault[0] == 404 else (Fault.INFRASTRUCTURE, 3)
    assert (result.problem.fault, exit_code(result)) == (whose, code)
    assert {check.fault for check in result.checks} == {whose}
    assert told[0] in result.problem.what
    assert reference in result.problem.what
    assert told[1] in result.problem.fix
    registry.faults = []
    registry.halved.clear()
    monkeypatch.undo()
    assert graded().status is Status.PASSED
