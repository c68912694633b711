"""The attacks: a folder each below `corpus/FAMILY/`, with what is handed in and what must become of it.

`expected.yaml` is what this module makes a `Case` of. What git cannot hold, or what nobody wants to carry, a `make.py`
beside it makes: `make(folder)` is called with the folder that is handed in.
"""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from grader.tests.engine.stores import in_containerd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
COURSE = HERE / "course"
#: Family -> the exercise of the course by which it is graded, if the case names no other.
_EXERCISES = {"build": "image", "image": "image", "submission": "image", "run": "app"}
#: Beside what is handed in, and no part of it.
_OURS = ("expected.yaml", "make.py")


@dataclass(frozen=True)
class Case:
    """An attack and what must become of it.

    ``attack`` says in words what it tries. ``status`` and ``fault`` are those of the verdict, ``check`` the id of the
    first check that failed, where it matters, and ``says`` a pattern of what the learner is told. Bounds: ``within`` is
    seconds until the verdict; the grader may use ``memory`` MB; meanwhile the host's disk may lose ``disk`` MB and its
    memory ``ram`` MB, and gain ``processes``. What only a fenced engine survives ``needs`` a fence: `memory`,
    `processes` or `disk`. With containerd's image store or Podman an image may be another one, or none: what is in
    ``containerd`` or ``podman`` holds instead.
    """

    name: str
    attack: str
    status: str
    exercise: str
    fault: str | None = None
    check: str = ""
    says: str = ""
    within: float = 40
    memory: int = 150
    disk: int = 2000
    ram: int = 1500
    processes: int = 150
    needs: str = ""
    containerd: Mapping[str, Any] = field(default_factory=dict, hash=False)
    podman: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return {"passed": 0, "failed": 1, "error": 3}[self.status]

    def on(self, engine: Engine) -> Case:
        """What must become of it there."""
        if engine.name == "podman":
            return replace(self, **self.podman)
        return replace(self, **self.containerd) if in_containerd(engine) else self

    def hand_in(self, folder: Path) -> None:
        """Makes ``folder`` what the attacker hands in."""
        source = CORPUS / self.name
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*_OURS))
        if (recipe := source / "make.py").exists():
            runpy.run_path(str(recipe))["make"](folder)


def every() -> Iterator[Case]:
    """All of them, by name."""
    known = {field.name for field in fields(Case)} - {"name"}
    for path in sorted(CORPUS.glob("*/*/expected.yaml")):
        told = yaml.safe_load(path.read_text())
        assert told.keys() <= known, f"{path}: {told.keys() - known}"
        name = path.parent.relative_to(CORPUS).as_posix()
        yield Case(**{"name": name, "exercise": _EXERCISES[name.partition("/")[0]], **told})
