"""Ctrl-C at any moment: exit code 130, a word, no traceback, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from grader.engine.leftovers import OWNER, RUN
from grader.tests.cli.programs import RUBRIC, WITH_APP, course, start, until

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows sends no signals to programs")

IDLE = 'FROM debian:bookworm-slim\nCMD ["sleep", "600"]\n'
SLOW = "FROM debian:bookworm-slim\nRUN sleep 600 # {mark}\n"


def made_by(engine: Engine, process: subprocess.Popen[str]) -> list[str]:
    """Containers and images that ``process`` has made and not removed."""
    everything = [
        *engine.client.containers(all=True, filters={"label": RUN}),
        *engine.client.images(filters={"label": RUN}),
    ]
    return [one["Id"] for one in everything if f":{process.pid}:" in (one.get("Labels") or {}).get(OWNER, "")]


def running_by(engine: Engine, process: subprocess.Popen[str]) -> bool:
    containers = engine.client.containers(filters={"label": RUN})
    return any(f":{process.pid}:" in one["Labels"].get(OWNER, "") for one in containers)


def interrupted(process: subprocess.Popen[str], engine: Engine, signals: list[signal.Signals]) -> None:
    for number in signals:
        process.send_signal(number)
    output, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted; nothing is left behind." in said
    assert "Traceback" not in said
    assert output == ""
    assert made_by(engine, process) == []


SIGNALS = [
    [signal.SIGINT],
    [signal.SIGTERM],
    [signal.SIGHUP] if hasattr(signal, "SIGHUP") else [],
    [signal.SIGINT, signal.SIGINT],
]


@pytest.mark.parametrize("signals", SIGNALS, ids=lambda signals: "+".join(each.name for each in signals))
def test_while_the_app_is_waited_for(signals: list[signal.Signals], engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, WITH_APP, IDLE)
    process = start("grade", "1", "--course", str(exercises), cwd=learner)
    until(lambda: running_by(engine, process), "the app's container runs")
    interrupted(process, engine, signals)


@pytest.mark.parametrize("signals", SIGNALS[:2], ids=lambda signals: "+".join(each.name for each in signals))
def test_during_the_build(signals: list[signal.Signals], engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, RUBRIC, SLOW.format(mark=tmp_path))
    process = start("grade", "1", "--course", str(exercises), "--verbose", cwd=learner)
    assert process.stderr is not None
    for line in process.stderr:
        if "FROM" in line and "debian" in line:  # as BuildKit and Podman write it
            break
    interrupted(process, engine, signals)


@pytest.mark.parametrize("moment", range(6))
def test_at_any_moment(moment: int, engine: Engine, tmp_path: Path) -> None:
    """Not a sleep for something to happen: the moments are spread over a whole grading, whatever goes on then."""
    exercises, learner = course(tmp_path, WITH_APP, IDLE)
    process = start("grade", "1", "--course", str(exercises), "--verbose", cwd=learner)
    assert process.stderr is not None
    # The first line comes when everything is imported and handlers are in place.
    process.stderr.readline()
    try:
        process.wait(moment * 0.12)
    except subprocess.TimeoutExpired:
        interrupted(process, engine, [signal.SIGINT])
