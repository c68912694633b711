"""A course of one tiny exercise that is proven as it stands, for tests to take something from."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from grader import grading
from grader.authoring import verify
from grader.checks import types
from grader.course.exercise import find_course
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.authoring.proof import Proof
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.result import GradeResult

BASE = "FROM debian:bookworm-slim\n"
TWO_STAGES = f"{BASE[:-1]} AS made\nRUN echo 1 > /made\n{BASE}COPY --from=made /made /made\n"
JUNK = "RUN touch /opt/junk\n"

RUBRIC: dict[str, Any] = {
    "format": 1,
    "title": "Tiny",
    "submit": ["Dockerfile", ".dockerignore"],
    "pass": 100,
    "bases": ["debian:bookworm-slim"],
    "checks": [
        {"id": "builds", "check": "build", "points": 10, "required": True, "title": "It builds", "hints": ["Look."]},
        {"id": "tidy", "check": "absent", "paths": ["/opt/junk"], "points": 40, "hints": ["Look.", "Take it out."]},
        {"id": "staged", "check": "dockerfile", "stages": {"min": 2}, "points": 50, "hints": ["Count FROM."]},
    ],
}


@dataclass
class Tiny:
    """What is written below ``root``; the broken ones are Dockerfiles by folder, ``files`` whatever else there is."""

    root: Path
    rubric: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RUBRIC))
    starter: str = BASE
    solution: str | None = TWO_STAGES
    broken: dict[str, str] = field(
        default_factory=lambda: {
            "no": f"# fails: builds\n{BASE}RUN false\n",
            "junk": f"# fails: tidy\n{TWO_STAGES}{JUNK}",
            "one": f"# fails: staged\n{BASE}",
        }
    )
    files: dict[str, str] = field(default_factory=dict)

    @property
    def course(self) -> Path:
        return self.root / "exercises"

    def check(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(check for check in self.rubric["checks"] if check["id"] == name)
        return found

    def write(self) -> Exercise:
        files = {
            "exercises/course.yaml": "title: A tiny course\n",
            "exercises/01-tiny/README.md": "# Tiny\n",
            "exercises/01-tiny/rubric.yaml": yaml.safe_dump(self.rubric, sort_keys=False, default_flow_style=False),
            "exercises/01-tiny/starter/Dockerfile": self.starter,
            **({"solutions/01-tiny/Dockerfile": self.solution} if self.solution is not None else {}),
            **{f"solutions/01-tiny/broken/{name}/Dockerfile": text for name, text in self.broken.items()},
            **self.files,
        }
        write_files(self.root, files)
        (self.root / "solutions").mkdir(exist_ok=True)
        return find_course(self.course).exercises[0]

    def proof(self, engine: Engine, *, remember: bool = True) -> Proof:
        """Proves it on a real engine; what another test has graded already, file for file, is not graded again."""
        seen: Counter[object] = Counter()

        def grade(exercise: Exercise, rubric: Rubric, folder: Path, name: str) -> GradeResult:
            key = (rubric.digest, contents(exercise.starter), contents(folder))
            seen[key] += 1
            if remember and (key, seen[key]) in GRADED:
                return GRADED[key, seen[key]]
            result = grading.grade(
                grading.Request(exercise, rubric, folder, engine=lambda: engine, name=name, stand_ins=True)
            )
            if remember:
                GRADED[key, seen[key]] = result
            return result

        return verify.verify(self.write(), self.root / "solutions", types(), grade)


#: Verdicts by rubric, starter and submission; the second one of the same files in one proof is another.
GRADED: dict[object, GradeResult] = {}


def contents(folder: Path) -> object:
    """All files of a folder, None without one; those of the broken ones are no part of the solution's."""
    if not folder.is_dir():
        return None
    files = (path for path in folder.rglob("*") if path.is_file())
    found = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)
    return frozenset((name, content) for name, content in found if not name.startswith("broken/"))
