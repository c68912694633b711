"""What `pip install` gives: the grader and the course, but neither solutions nor tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_the_course_and_not_its_solutions(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "grader/exercises/03-multi-stage-builds/rubric.yaml" in names
    assert "grader/exercises/03-multi-stage-builds/starter/.dockerignore" in names
    assert not [name for name in names if name.startswith(("solutions", "grader/tests", "grader/benchmarks"))]


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = (path for path in (ROOT / "grader").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    wanted = {path.relative_to(ROOT).as_posix() for path in shipped}
    missing = {name for name in wanted - names if not name.startswith(("grader/tests/", "grader/benchmarks/"))}
    assert not missing


def test_the_installed_grader_lists_its_course(wheel: Path, tmp_path: Path) -> None:
    # Out of the wheel itself, so that the clone's own `exercises/` is not what is found.
    code = "import sys; sys.path.insert(0, sys.argv[1]); from grader.cli import main; main(['list'])"
    folder = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(folder)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "03-multi-stage-builds" in done.stdout
