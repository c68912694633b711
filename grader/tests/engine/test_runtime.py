"""The runtime that runs what learners made: known to the engine, or refused before anything is built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from grader.engine import connect as connecting
from grader.engine import fences
from grader.engine.leftovers import Run
from grader.engine.running.app import Options
from grader.engine.sandbox import Sandbox
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.engine.connect import Engine


def test_one_that_the_engine_does_not_know_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    monkeypatch.setenv(connecting.RUNTIME_VARIABLE, "no-such-runtime")
    with pytest.raises(UsageError, match="knows no runtime `no-such-runtime`") as caught:
        connecting.connect()
    assert "runc" in caught.value.fix


def test_none_is_the_engines_own(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    monkeypatch.delenv(connecting.RUNTIME_VARIABLE, raising=False)
    found = connecting.connect()
    assert found.runtime == ""
    assert "Runtime" not in fences.fenced(found, {}, 64_000_000)["host_config"]
    found.client.close()


def test_apps_run_with_it_and_probes_do_not(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = engine.client.info()
    others = sorted(set(facts["Runtimes"]) - {facts["DefaultRuntime"]})
    if not others:
        pytest.skip("the engine knows one runtime only")
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    monkeypatch.setenv(connecting.RUNTIME_VARIABLE, others[0])
    chosen = replace(connecting.connect(), local=False)
    sandbox = Sandbox(chosen, Run.new().labels, probes=["python:3.11-slim"])
    try:
        sandbox.prepare()
        assert [_runtime(engine, probe) for probe in sandbox._probe_containers] == [facts["DefaultRuntime"]]
        app = sandbox._create("debian:bookworm-slim", Options(port=5000), None)
        assert _runtime(engine, app) == others[0]
    finally:
        sandbox.close()
        chosen.client.close()


def _runtime(engine: Engine, container: str) -> str:
    return str(engine.client.inspect_container(container)["HostConfig"]["Runtime"])
