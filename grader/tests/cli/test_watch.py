"""`grader watch`, driven as a learner drives it: saves and keys in, a screen out."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from grader.course.exercise import find_course, resolve
from grader.engine.leftovers import OWNER, RUN
from grader.learn.progress import FOLDER_VARIABLE, Store
from grader.tests.cli.programs import RUBRIC, command, course

terminals = pytest.importorskip("grader.tests.cli.terminals", reason="needs a POSIX terminal")

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

GOOD = "FROM debian:bookworm-slim\nLABEL kind=good\n"
SLOW = "FROM debian:bookworm-slim\nRUN echo so far; sleep 600 # {mark}\n"
WITH_LABEL = RUBRIC.replace("app: {port: 5000, ready: {within: 60s}}\n", "").replace("pass: 10", "pass: 25") + (
    "  - {id: labelled, title: It says its kind, check: config, labels: {kind: good}, points: 10,\n"
    '     hints: ["Which instruction labels?", LABEL does.]}\n'
    "  - {id: plain, title: Nothing is added, check: dockerfile, instructions: {forbidden: [ADD]}, points: 5}\n"
)
END = r"(Passed with|Not passed:|Not graded:) [^\r\x1b]*"


def left(engine: Engine, pid: int) -> list[str]:
    """Containers and images of that process."""
    client = engine.client
    everything = [*client.containers(all=True, filters={"label": RUN}), *client.images(filters={"label": RUN})]
    return [one["Id"] for one in everything if f":{pid}:" in (one.get("Labels") or {}).get(OWNER, "")]


def save(folder: Path, dockerfile: str) -> None:
    """As an editor does that renames a new file over the old one."""
    (folder / ".Dockerfile.new").write_text(dockerfile)
    (folder / ".Dockerfile.new").replace(folder / "Dockerfile")


def test_a_save_is_judged_at_once_then_graded_and_keys_are_answered(engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, "FROM debian:bookworm-slim\n")
    state = tmp_path / "state"
    at_home = {"COLUMNS": "80", "CI": "", FOLDER_VARIABLE: str(state)}
    terminal = terminals.Terminal("grader", "watch", "1", "--course", str(exercises), cwd=learner, **at_home)
    terminal.until(END)
    for key, answer in [
        ("h", r"\(1 more on this check\)"),
        ("h", r"(?s)LABEL does.*\(that was the last on this check\)"),
        ("h", "There are no more hints on what failed"),
        ("d", "There is no earlier run to compare with."),
        ("l", "FROM docker.io/library/debian"),
        ("a", "The app printed nothing, or was not run."),
        ("n", "This was the last exercise of the course."),
        ("x", "Keys: h hint"),
        ("\x1b[A", ""),  # an arrow is no key of ours
    ]:
        terminal.press(key)
        terminal.until(answer)
    save(learner, GOOD + "ADD x /\n")
    terminal.until(r"FAILED: Nothing is added: line 3 is `ADD x /`")
    terminal.until(END)
    save(learner, GOOD)
    assert terminal.until(END) == "Passed with 25 of 25 points."
    terminal.press("d")
    terminal.until("Since the last run:.*-> 25 of 25")
    terminal.press("r")
    assert terminal.until(END) == "Passed with 25 of 25 points."
    terminal.press("q")
    assert terminal.ended() == 0
    assert left(engine, terminal.child.pid) == []
    # Kept as `grade` keeps it.
    record = Store(print, state).record(resolve(find_course(exercises), "1"))
    assert (record.passed, record.gradings, record.hints[-1].text) == (True, 4, "LABEL does.")
    # Nothing that was live is left standing.
    assert [line for line in terminal.screen() if re.match(r"(build|start|checks|cleanup)[ :]|  \|", line)] == []


def test_a_save_during_a_build_ends_it_and_the_newest_files_are_graded(engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, SLOW.format(mark=tmp_path))
    terminal = terminals.Terminal("grader", "watch", "1", "--course", str(exercises), cwd=learner)
    terminal.until(r"  \| so far")  # the step's last log line
    # Judged while the build goes on, before it is ended.
    save(learner, GOOD + "RUNN x\n")
    terminal.until(r"Dockerfile line 3: Unknown instruction: RUNN")
    terminal.until("Stopped; beginning again")
    terminal.until(END)
    save(learner, SLOW.format(mark=f"{tmp_path} again"))
    terminal.until(r"  \| so far")
    # Saved without a change: this very build goes on.
    save(learner, SLOW.format(mark=f"{tmp_path} again"))
    terminal.until("can be built")
    save(learner, GOOD)
    assert terminal.until(END) == "Passed with 25 of 25 points."
    assert terminal.raw.count("Stopped; beginning again") == 2
    terminal.press("q")
    assert terminal.ended() == 0
    assert left(engine, terminal.child.pid) == []


@pytest.mark.parametrize("way", ["\x03", "q"])
def test_ended_during_a_build_it_leaves_nothing_and_the_terminal_as_it_was(
    way: str, engine: Engine, tmp_path: Path
) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, SLOW.format(mark=f"{tmp_path} {ord(way)}"))
    terminal = terminals.Terminal("grader", "watch", "1", "--course", str(exercises), cwd=learner)
    before = terminal.settings()
    terminal.until(r"  \| so far")
    assert terminal.settings() != before
    terminal.press(way)
    terminal.child.expect(terminals.pexpect.EOF)
    assert terminal.settings() == before
    assert terminal.ended() == (130 if way == "\x03" else 0)
    assert left(engine, terminal.child.pid) == []
    assert "Traceback" not in terminal.raw


def test_without_a_terminal_it_tells_plain_lines_and_ends_with_its_input(engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, "FROM debian:bookworm-slim\n")
    process = subprocess.Popen(
        command("grader", "watch", "1", "--course", str(exercises)),
        cwd=learner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []

    def verdict() -> str:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("Passed with", "Not passed")):
                return line
        pytest.fail("".join(lines))

    assert verdict().startswith("Not passed: 15 of 25")
    save(learner, GOOD)
    assert verdict() == "Passed with 25 of 25 points.\n"
    rest, said = process.communicate(timeout=60)  # closes its input
    assert process.returncode == 0, said
    assert terminals.is_bare("".join(lines) + rest + said)
    assert "Keys" not in "".join(lines)
    assert left(engine, process.pid) == []


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows sends no signals to programs")
def test_an_input_that_has_ended_before_it_began_still_gets_its_verdict(engine: Engine, tmp_path: Path) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, GOOD)
    done = subprocess.run(
        command("grader", "watch", "1", "--course", str(exercises), "--plain"),
        cwd=learner, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Passed with 25 of 25 points."
    assert "Passed: It says its kind; 10 of 10 points." in done.stdout
    assert engine


def test_an_engine_that_comes_later_is_found_and_its_absence_is_not_the_learners_fault(
    engine: Engine, tmp_path: Path
) -> None:
    exercises, learner = course(tmp_path, WITH_LABEL, GOOD)
    door = tmp_path / "engine.sock"
    terminal = terminals.Terminal(
        "grader", "watch", "1", "--course", str(exercises), cwd=learner, DOCKER_HOST=f"unix://{door}"
    )
    terminal.until("This is not your fault")
    terminal.until("Not graded: this is not your fault, and it costs no points.")
    door.symlink_to(engine.endpoint.removeprefix("unix://"))
    terminal.press("r")
    assert terminal.until(END) == "Passed with 25 of 25 points."
    terminal.press("q")
    assert terminal.ended() == 0
