"""Every attack of the corpus, by the command that a person would type, under a watchdog."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from grader.tests.hostile import archives, cases, watchdog
from grader.tests.hostile.watchdog import MB, Daemon, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.tests.hostile.cases import Case

EVERY = list(cases.every())


#: It leaves behind what it held at most; what the kernel tells of a child's memory is also that of who began it.
GRADE = """
import atexit, pathlib
atexit.register(lambda: pathlib.Path("memory").write_text(pathlib.Path("/proc/self/status").read_text()))
from grader.cli import grade_main
grade_main()
"""


@dataclass(frozen=True)
class Graded:
    """What became of it. ``memory`` is the most MB that the grader held, ``took`` seconds."""

    exit_code: int
    verdict: dict[str, Any]
    complaint: str
    memory: float
    took: float


def grade(case: Case, engine: Engine, root: Path) -> Graded:
    """Grades a case in a process of its own, which is ended when it takes longer than the case allows."""
    case.hand_in(root / "learner")
    asked = [case.exercise, "--course", str(cases.COURSE), "--submission", str(root / "learner"), "--format", "json"]
    command = [sys.executable, "-c", GRADE, *asked]
    environment = os.environ | {"TMPDIR": str(root / "tmp"), "DOCKER_HOST": engine.endpoint}
    began = time.monotonic()
    with (root / "out").open("wb") as out, (root / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=root)
        with ended_after(case.within, process):
            process.wait()
    said = (root / "out").read_text(errors="replace")
    verdict = json.loads(said) if said else {}
    complaint = (root / "err").read_text(errors="replace")
    return Graded(process.returncode, verdict, complaint, _most(root / "memory"), time.monotonic() - began)


def _most(status: Path) -> float:
    """MB, from a copy of `/proc/PID/status` (`VmHWM`); none of a process that was ended."""
    text = status.read_text() if status.exists() else ""
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else math.inf


@contextmanager
def ended_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Nothing hangs the suite; whoever is ended so has failed, by its exit code."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    yield
    timer.cancel()


@pytest.fixture(scope="module", autouse=True)
def _engine_as_before(engine: Engine) -> Iterator[None]:
    """All of it together costs the engine nothing that it does not get back."""
    before = Daemon.of(engine)
    yield
    after = Daemon.of(engine)
    if before and after:
        assert after.files <= before.files + 50
        assert after.memory <= before.memory + 500


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_attack(case: Case, engine: Engine, tmp_path: Path, record_property: Any) -> None:
    if case.needs and case.needs not in watchdog.fences(engine):
        pytest.skip(f"the engine's builds have no fence: {case.needs}")
    case = case.on(engine)
    (tmp_path / "tmp").mkdir()
    with Watchdog(engine, tmp_path / "tmp") as dog:
        done = grade(case, engine, tmp_path)
    record_property("load", dog.peak.load)
    assert "Traceback" not in done.complaint, done.complaint
    assert done.exit_code == case.exit_code, (done.verdict.get("problem"), done.complaint, told(done.verdict))
    assert done.verdict["status"] == case.status
    assert done.verdict["score"] is None or case.status != "error"
    first = next((check for check in done.verdict["checks"] if check["status"] not in ("passed", "skipped")), None)
    assert (first["fault"] if first else None) == case.fault
    assert not case.check or (first and first["id"] == case.check), first
    assert re.search(case.says, told(done.verdict)), told(done.verdict)
    peak = dog.peak
    assert done.memory <= case.memory
    assert (peak.disk <= case.disk, peak.ram <= case.ram, peak.processes <= case.processes) == (True,) * 3, peak
    assert not (left := dog.left_behind()), left


def told(verdict: dict[str, Any]) -> str:
    """What the learner reads: of the whole, and of each check that did not pass."""
    problem = verdict.get("problem") or {}
    checks = [check for check in verdict.get("checks", ()) if check["status"] != "passed"]
    return "\n".join([problem.get("what", ""), *(f"{check['id']}: {check['got']}" for check in checks)])


def test_there_are_enough_of_them_and_each_is_told_apart() -> None:
    assert len(EVERY) >= 60
    assert len({case.attack for case in EVERY}) == len(EVERY)


def test_the_table_in_the_readme_counts_them() -> None:
    """`| family | attacks | ...`."""
    readme = (cases.HERE.parents[2] / "README.md").read_text()
    told = {name: int(count) for name, count in re.findall(r"^\| `?([a-z ]+)`? \| (\d+) \|", readme, re.MULTILINE)}
    families = Counter(case.name.partition("/")[0] for case in EVERY)
    inside = (cases.HERE / "inside" / "attack.py").read_text().count("\n@attack\n")
    assert told == {**families, "archives": len(archives.ARCHIVES), "from inside": inside}


def test_archives_that_a_class_hands_in(engine: Engine, tmp_path: Path) -> None:
    place, out = tmp_path / "handed-in", tmp_path / "grades"
    (place / "good").mkdir(parents=True)
    (place / "good" / "Dockerfile").write_bytes(archives.DOCKERFILE)
    for name, (make, _) in archives.ARCHIVES.items():
        make(place / name)
    (tmp_path / "tmp").mkdir()
    asked = ["image", str(place), "--out", str(out), "--course", str(cases.COURSE), "--jobs", "1"]
    with Watchdog(engine, tmp_path / "tmp") as dog:
        done = subprocess.run(
            [sys.executable, "-c", "from grader.cli import main; main()", "bulk", *asked],
            env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    results = {path.stem: json.loads(path.read_text()) for path in (out / "results").glob("*.json")}
    assert results.pop("good")["status"] == "passed"
    assert len(results) == len(archives.ARCHIVES)
    for name, (_, says) in archives.ARCHIVES.items():
        result = results[name.partition(".")[0]]
        assert (result["status"], result["problem"]["fault"]) == ("failed", "learner"), name
        assert says in result["problem"]["what"], (name, result["problem"])
    assert dog.peak.disk < 2000
    assert dog.left_behind() == set()
