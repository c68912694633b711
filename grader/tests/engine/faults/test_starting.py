"""Whose fault it is that an image cannot be started, by a control with its base image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grader.engine.content import mounted
from grader.engine.content.layers import Entry
from grader.engine.faults import starting
from grader.engine.faults.refusal import AppError, NotStartedError
from grader.errors import EngineError
from grader.tests.checks.fakes import FakeImage

if TYPE_CHECKING:
    from grader.engine.connect import Engine

RUNTIME = "OCI runtime create failed: runc create failed: mkdir /proc/self/fd/8: no such file or directory"
BASE = "debian:bookworm-slim"


def failing(*errors: EngineError | None) -> Any:
    left = list(errors)

    def start() -> str:
        if error := left.pop(0):
            raise error
        return "started"

    return start


def started(engine: Engine, start: Any, bases: tuple[str, ...] = (BASE,)) -> Any:
    return starting.started(FakeImage([{}]), bases, engine, {}, start)


def test_what_the_runtime_refuses_twice_and_not_with_the_base_image_is_the_learners(engine: Engine) -> None:
    with pytest.raises(AppError, match="though its base image can: OCI runtime"):
        started(engine, failing(NotStartedError(RUNTIME), NotStartedError(RUNTIME)))


def test_what_passes_costs_nothing(engine: Engine) -> None:
    assert started(engine, failing(NotStartedError(RUNTIME), None)) == "started"


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (NotStartedError(RUNTIME), ("no.such/image:1",)),
        (NotStartedError(RUNTIME), ()),
        (NotStartedError("error creating overlay mount to /x: no such file or directory"), (BASE,)),
        (NotStartedError("OCI runtime create failed: unable to apply cgroup configuration"), (BASE,)),
        (EngineError("The engine went away"), (BASE,)),
    ],
    ids=["the base neither", "no base", "store", "means", "engine"],
)
def test_what_may_be_ours_stays_ours(engine: Engine, error: EngineError, bases: tuple[str, ...]) -> None:
    with pytest.raises(EngineError) as caught:
        started(engine, failing(error, error), bases)
    assert caught.value is error


@pytest.mark.parametrize("target", ["/proc/sys", "proc", "../proc/1", "/loop/../dev"])
def test_a_volume_that_leads_into_the_kernels_own_by_a_link(target: str) -> None:
    image = FakeImage([{"data": Entry("symlink", target=target)}], config={"Volumes": {"/data": {}}})
    with pytest.raises(AppError, match="VOLUME /data"):
        mounted.check(image)


def test_links_that_go_round_lead_nowhere() -> None:
    round_ = {"a": Entry("symlink", target="b"), "b": Entry("symlink", target="/a")}
    image = FakeImage([round_], config={"Volumes": {"/a": {}}})
    mounted.check(image)
