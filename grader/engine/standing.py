"""What an engine of ours was started with, written beside its socket: where its data is, and how builds are bounded.

Whoever is connected to the socket reads it, whatever process started the engine, and without asking the engine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.engine.connect import Engine

_NAME = "standing.json"


@dataclass(frozen=True)
class Standing:
    """An engine of ours since it was started. Sizes are bytes, and None where there is no bound.

    ``disk`` is the size of the file system that holds ``data``, ``memory`` and ``processes`` are for one RUN step,
    ``memory_of_all`` and ``processes_of_all`` for all that run at a time, ``cache`` is what the build cache may keep.
    ``no_disk`` and ``no_limits`` say why there is none of them.
    """

    data: Path
    disk: int | None = None
    no_disk: str = ""
    memory: int | None = None
    memory_of_all: int | None = None
    processes: int | None = None
    processes_of_all: int | None = None
    no_limits: str = ""
    cache: int | None = None
    cgroup: str = ""


def write(run: Path, standing: Standing) -> None:
    """Notes how the engine stands whose socket is in ``run``."""
    text = json.dumps(asdict(standing) | {"data": str(standing.data)}, indent=1)
    (run / _NAME).write_text(text, encoding="utf-8")


def read(run: Path) -> Standing | None:
    """How the engine stands whose socket is in ``run``; None when nobody noted it, or somebody who is not root."""
    try:
        with (run / _NAME).open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != 0:
                return None
            found = json.load(file)
        return Standing(**found | {"data": Path(found["data"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def of(engine: Engine) -> Standing | None:
    """How ``engine`` stands, None when it is none that the grader started on this machine."""
    if not engine.local or not engine.endpoint.startswith("unix://"):
        return None
    return read(Path(engine.endpoint.removeprefix("unix://")).parent)
