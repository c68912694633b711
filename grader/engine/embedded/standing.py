"""What an engine of ours was started with, written beside its socket: where its data is, and how builds are bounded.

Whoever is connected to the socket reads it, whatever process started the engine, and without asking the engine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine.embedded.limits import Limits

if TYPE_CHECKING:
    from grader.engine.connect import Engine

_NAME = "standing.json"


@dataclass(frozen=True)
class Standing:
    """An engine of ours since it was started. Sizes are bytes, and None where there is no bound.

    ``asked`` is what it was asked to keep to. ``disk`` is the size of the file system that holds ``data``, ``cache``
    what the build cache may keep. ``memory`` and ``processes`` bound RUN steps: a single one, and all that run at a
    time. ``no_disk`` and ``no_limits`` say why there are none of them.
    """

    data: Path
    asked: Limits = field(default_factory=Limits)
    disk: int | None = None
    no_disk: str = ""
    memory: tuple[int, int] | None = None
    processes: tuple[int, int] | None = None
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
        found |= {"data": Path(found["data"]), "asked": Limits(**found["asked"])}
        found |= {name: tuple(found[name]) for name in ("memory", "processes") if found[name] is not None}
        return Standing(**found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def of(engine: Engine) -> Standing | None:
    """How ``engine`` stands, None when it is none that the grader started on this machine."""
    if not engine.local or not engine.endpoint.startswith("unix://"):
        return None
    return read(Path(engine.endpoint.removeprefix("unix://")).parent)
