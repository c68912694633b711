"""The way of the data goes one way: a stage imports the stages before it, never those after it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import grader

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(grader.__file__).parent
#: DESIGN.md, "The way of the data"; what stands on one line may import one another.
ORDER: list[set[str]] = [
    {"result", "errors", "files", "redacted"},
    {"running", "scratch"},
    {"course"},
    {"submission"},
    {"engine"},
    {"checks"},
    {"judging"},
    {"request"},
    {"builder"},
    {"making"},
    {"grading"},
    {"reports"},
    {"bulk", "learn", "authoring", "classroom"},
    {"cli", "pytest_plugin", "pytest_items"},
    {"__main__"},
]
PLACE = {name: place for place, names in enumerate(ORDER) for name in names}
#: Units, names and words, without any behaviour of a course.
VOCABULARY = {"grader.course.model", "grader.course.units", "grader.course.suggest"}
PRINTERS = {"cli", "reports", "__main__"}


def sources() -> list[Path]:
    return sorted(
        path
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks", "exercises")
    )


def stage(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of modules, wherever in the file they are imported, type checking included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def parametrized(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources(), ids=parametrized)
def test_no_import_runs_backwards(path: Path) -> None:
    here = stage(path)
    if here == "__init__":
        assert not [name for name, _ in imported(path) if name.startswith("grader.")]
        return
    assert here in PLACE, f"say in this test where {here} stands"
    for name, line in imported(path):
        parts = name.split(".")
        if here == "course" and parts[1:2] == ["checks"]:
            continue  # the registry's own type; the next test looks at it
        if parts[0] == "grader" and len(parts) > 1 and parts[1] in PLACE:
            assert PLACE[parts[1]] <= PLACE[here], f"{path.name}:{line}: {here} may not import {name}"


@pytest.mark.parametrize("path", sources(), ids=parametrized)
def test_checks_and_course_meet_only_through_the_registry(path: Path) -> None:
    here = stage(path)
    for name, line in imported(path):
        module = ".".join(name.split(".")[:3])
        if here == "checks" and name.startswith("grader.course"):
            assert module in VOCABULARY, f"{path.name}:{line}: a check may not import {name}"
        if here == "course" and name.startswith("grader.checks"):
            assert is_for_types_only(path, line), f"{path.name}:{line}: course may not import {name}"


def is_for_types_only(path: Path, line: int) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.lineno < line <= (node.end_lineno or 0)
    return False


@pytest.mark.parametrize("path", [path for path in sources() if stage(path) != "engine"], ids=parametrized)
def test_only_the_engine_knows_the_client_library(path: Path) -> None:
    known = {"docker", "requests", "urllib3"}
    assert not [f"{name}, line {line}" for name, line in imported(path) if name.split(".")[0] in known]


@pytest.mark.parametrize("path", [path for path in sources() if stage(path) not in PRINTERS], ids=parametrized)
def test_nothing_prints_but_the_command_line_and_reports(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in ("engine/running/ask.py", "engine/running/look.py"):
        return  # run as programs of their own inside a container; their output is their answer
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    printing = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
    writing = [
        n.lineno
        for n in calls
        if isinstance(n.func, ast.Attribute)
        and n.func.attr == "write"
        and ast.unparse(n.func.value) in ("sys.stdout", "sys.stderr")
    ]
    assert printing + writing == []


@pytest.mark.parametrize("path", sources(), ids=parametrized)
def test_nothing_but_the_command_line_exits(path: Path) -> None:
    if stage(path) in ("cli", "__main__"):
        return
    text = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    assert "sys.exit(" not in text
    assert "os._exit(" not in text


def test_this_test_finds_something() -> None:
    assert len(sources()) > 30
    assert "grader.engine.image.Image" in {name for path in sources() for name, _ in imported(path)}
    assert sys.modules["grader"].__name__ == "grader"
