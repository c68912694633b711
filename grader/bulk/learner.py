"""Who is graded, and what was handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Handed:
    """One thing that somebody handed in.

    ``source`` is a folder, an archive, or the address of a git repository, then with the ``commit`` to take, its newest
    when empty. ``submitted`` is in UTC, None when nothing tells it. ``ids`` are the learner's in other systems
    (``moodle``, ``canvas``), for their import files. ``late`` is what the platform that it is from said, None
    when it said nothing. ``files`` are those of an upload that is no folder and no archive: what each is graded as, and
    where it lies.
    """

    learner: str
    source: str
    commit: str = ""
    submitted: datetime | None = None
    late: bool | None = None
    ids: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Learner:
    """Somebody who is graded, and what was handed in, oldest first; nothing is a row too, not a gap.

    ``listed`` is the learner's row in the roster, by the names of its columns in small letters; ``due`` is a due time
    of the learner's own.
    """

    name: str
    handed: tuple[Handed, ...] = ()
    listed: Mapping[str, str] = field(default_factory=dict)
    due: datetime | None = None
