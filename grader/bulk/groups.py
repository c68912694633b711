"""Who handed in the same, to the byte or but for comments and blanks: something to look at, not an accusation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.bulk.plan import Row

#: Names that are listed in a cell, before it is told how many more there are.
_SHOWN = 5


@dataclass
class Groups:
    """Learners by what they handed in, two and more. The names in ``dict`` keep their order and are found at once.

    ``same`` is by the digest of the files, ``similar`` by the shape of the Dockerfile (`one.Fingerprint`).
    """

    same: dict[str, dict[str, None]] = field(default_factory=dict)
    similar: dict[str, dict[str, None]] = field(default_factory=dict)
    #: What was told of a submission; a class may have thousands of the same.
    _told: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, planned: Iterable[Row]) -> Groups:
        """The groups; what was refused is no group."""
        found = cls()
        for row in planned:
            if row.key is None or row.key.submission.startswith("refused:"):
                continue
            found.same.setdefault(row.key.submission, {})[row.learner] = None
            if row.shape:
                found.similar.setdefault(row.shape, {})[row.learner] = None
        for groups in (found.same, found.similar):
            for key in [key for key, names in groups.items() if len(names) < 2]:
                del groups[key]
        return found

    def same_as(self, row: Row) -> str:
        """The other learners who handed in these very files."""
        names = self.same.get(row.key.submission, {}) if row.key else {}
        return _listed((name for name in names if name != row.learner), len(names) - 1)

    def similar_to(self, row: Row) -> str:
        """The others whose Dockerfile is the same but for comments, blanks and letter case; without those above."""
        if row.key is None or row.shape not in self.similar:
            return ""
        mine = self.same.get(row.key.submission, {row.learner: None})
        if (told := self._told.get(row.key.submission)) is None:
            names = self.similar[row.shape]
            told = _listed((name for name in names if name not in mine), len(names) - len(mine))
            self._told[row.key.submission] = told
        return told

    def alike(self) -> Iterator[tuple[str, ...]]:
        """Groups of similar Dockerfiles that are not all of the same files."""
        same = {tuple(names) for names in self.same.values()}
        yield from (tuple(names) for names in self.similar.values() if tuple(names) not in same)


def _listed(others: Iterator[str], count: int) -> str:
    shown = list(itertools.islice(others, _SHOWN))
    return "; ".join(shown) + (f"; and {count - len(shown)} more" if count > len(shown) else "")
