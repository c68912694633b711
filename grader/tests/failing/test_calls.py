"""Every call that a grading makes to its engine, broken in every way: never a learner's failure, and nothing left.

A few ways for each call; all of them, for each time that it is made, with GRADER_EVERY_FAULT=1 (ten minutes).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from grader.engine import bases, cancel
from grader.engine.running import run
from grader.result import Status
from grader.tests.failing.rogue import WAYS, Fault, Rogue
from grader.tests.failing.scenes import Scene, impatient, scene, told_as_ours, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.result import GradeResult

EVERY = bool(os.environ.get("GRADER_EVERY_FAULT"))

#: The calls of a grading on the engine's own machine, and the checks that make them.
HERE: dict[str, tuple[str, ...]] = {
    "GET /version": ("size",),
    "GET /info": ("size",),
    "GET /images/*/json": ("size",),
    "POST /build": ("size",),
    "POST /containers/create": ("http",),
    "POST /containers/*/start": ("http",),
    "GET /containers/*/json": ("http",),
    "GET /containers/*/logs": ("http",),
    "POST /containers/*/attach": ("command",),
    "POST /containers/*/wait": ("command",),
    "POST /containers/*/exec": ("inside",),
    "POST /exec/*/start": ("inside",),
    "GET /exec/*/json": ("inside",),
    "POST /containers/*/kill": ("stop",),
    "DELETE /containers/*": ("http",),
    "GET /containers/json": ("size",),
    "GET /images/json": ("size",),
    "DELETE /images/*": ("size",),
}
#: Those that are made in addition, or for something else, where the engine is not on this machine.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "GET /images/*/get": ("size",),
    "GET /containers/*/export": ("size",),
    "GET /containers/*/archive": ("present",),
    "POST /containers/create": ("http",),
    "POST /containers/*/start": ("http",),
    "POST /containers/*/exec": ("http",),
    "POST /exec/*/start": ("http",),
    "POST /containers/*/attach": ("process",),
}
#: What Podman alone is asked: what came from the cache, and for more of an image than Docker's API has of one.
PODMAN: dict[str, tuple[str, ...]] = {
    "GET /images/*/history": ("size",),
    "GET /libpod/images/*/json": ("http",),
}
#: What it is not: its images are its cache, and are kept.
NOT_PODMAN = {"DELETE /images/*"}
#: Those of the clean-up, which change no verdict any more.
CLEAN_UP = {"DELETE /containers/*", "DELETE /images/*", "GET /containers/json", "GET /images/json"}


@pytest.fixture(scope="module")
def rogue(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rogue]:
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("the rogue listens on a unix socket")
    with Rogue(tmp_path_factory.mktemp("r") / "s", engine.endpoint) as found:
        yield found


@pytest.fixture(scope="module")
def here(engine: Engine, rogue: Rogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if not engine.local:
        pytest.skip("this machine is not the engine's own")
    with scene(tmp_path_factory.mktemp("here"), rogue, engine, local=True) as found:
        yield found


@pytest.fixture(scope="module")
def elsewhere(engine: Engine, rogue: Rogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("elsewhere"), rogue, engine, local=False) as found:
        yield found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def endless(rogue: Rogue, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[None]:
    """All goes by way of the rogue, and no call is without a limit."""
    monkeypatch.setenv("DOCKER_HOST", rogue.endpoint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    # Whether the real image of a stand-in is to be had is asked now and then only.
    monkeypatch.setattr(bases, "_time_to_look", lambda *_, **__: False)
    monkeypatch.setattr(run, "_GRACE", 1.0)
    monkeypatch.setattr(cancel, "GRACE", 1.0)
    found = impatient(monkeypatch, rogue)
    yield
    rogue.strike(None)
    assert found == []


def calls(found: Scene) -> list[str]:
    found.rogue.strike(None)
    result = found.grade()
    assert result.status is Status.PASSED, [(check.id, check.got) for check in result.checks]
    assert found.left() == []
    return found.rogue.calls


def of(found: Scene, kinds: Iterable[str]) -> set[str]:
    """Which calls an engine of this kind gets, when Docker gets ``kinds``."""
    return {*kinds, *PODMAN} - NOT_PODMAN if found.real.name == "podman" else set(kinds)


def test_every_call_is_looked_at_below(here: Scene) -> None:
    made = set(calls(here))
    # With some image stores an engine on this machine, too, is asked for the files.
    assert of(here, HERE) <= made <= of(here, HERE) | set(ELSEWHERE)


def test_every_call_to_an_engine_elsewhere_is_looked_at_too(
    elsewhere: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert set(calls(elsewhere)) == of(elsewhere, HERE) | set(ELSEWHERE)


def faults(kind: str, place: int) -> list[Fault]:
    """No answer at all, a refusal each time, and two more ways that are others for each call; or each way of each time
    that it is made.
    """
    if not EVERY:
        others = [way for way in WAYS if way != "hang"]
        ways = ("hang", others[2 * place % len(others)], others[(2 * place + 1) % len(others)])
        return [Fault(kind, "500", nth=0), *(Fault(kind, way) for way in ways)]
    return [Fault(kind, way, nth) for way in WAYS for nth in range(10)]


@pytest.mark.parametrize("kind", HERE | PODMAN)
def test_a_fault_of_the_engine_is_never_a_learner_s(kind: str, here: Scene) -> None:
    if kind not in of(here, HERE):
        pytest.skip("another kind of engine is asked this")
    broken(here, (HERE | PODMAN)[kind], faults(kind, list(HERE | PODMAN).index(kind)))


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_fault_of_an_engine_elsewhere_is_never_a_learner_s(
    kind: str, elsewhere: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = "learner" if kind == "GET /containers/*/export" else "kept"
    ways = faults(kind, list(ELSEWHERE).index(kind) + 3)
    if kind != "GET /images/*/get":
        broken(elsewhere, ELSEWHERE[kind], ways, folder)
        return
    for fault in ways:
        # What was read of a layer once is not read again.
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"{fault.way}{fault.nth}"))
        broken(elsewhere, ELSEWHERE[kind], [fault], folder)


def broken(found: Scene, only: tuple[str, ...], ways: list[Fault], folder: str = "learner") -> None:
    """Grades with each of the faults, and once without."""
    after: dict[Fault, GradeResult] = {}
    wrong = []
    beyond: set[str] = set()
    for fault in ways:
        if fault.way in beyond:
            continue
        found.rogue.strike(fault)
        result = found.grade(*only, folder=folder)
        if not found.rogue.struck.is_set():
            assert fault.nth != 1, fault
            # It is not made that often.
            beyond.add(fault.way)
            continue
        found.rogue.strike(None)
        after[fault] = result
        left = found.left()
        told = any("`grader clean`" in note for note in result.notes)
        if left and not (told and fault.kind in CLEAN_UP and fault.nth == 0):
            wrong.append(f"{fault} left {left}")
        remove(found, left)
    found.rogue.strike(None)
    good = found.grade(*only, folder=folder)
    assert good.status is Status.PASSED
    for fault, result in after.items():
        survived = verdicts(result) == verdicts(good)
        assert survived or fault.way == "away" or fault.kind not in CLEAN_UP or only != ("size",), fault
        wrong += [f"{fault}: {each}" for each in ([] if survived else told_as_ours(result))]
    assert wrong == []


def remove(found: Scene, left: list[str]) -> None:
    client = found.real.client
    for one in left:
        with suppress(OSError):
            client.remove_container(one, force=True, v=True)
        with suppress(OSError):
            client.remove_image(one, force=True)


@pytest.mark.parametrize("kind", ["DELETE /containers/*", "DELETE /images/*", "GET /images/json"])
def test_what_cannot_be_removed_changes_no_verdict_and_is_told(
    kind: str, here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    if here.real.name == "podman" and "images" in kind:
        pytest.skip("its images are its cache, and are kept")
    monkeypatch.setattr("grader.making._PAUSES", (0.01,))
    here.rogue.strike(Fault(kind, "500", 0))
    result = here.grade("http")
    here.rogue.strike(None)
    left = here.left()
    remove(here, left)
    assert (result.status, result.score) == (Status.PASSED, 10)
    assert left
    assert [note for note in result.notes if "`grader clean` removes what is left" in note]
