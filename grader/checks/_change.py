"""Other contents of files, for builds that ask what a change does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.checks._fresh import refresh
from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks.subject import Subject


def changed(subject: Subject, additions: Mapping[str, str]) -> dict[str, bytes]:
    """The files with a line added at the end of each; `{fresh}` in it becomes this run's own value.

    Raises ``RubricError`` for a file that is neither the learner's nor the exercise's.
    """
    files = subject.files
    missing = next((path for path in additions if path not in files), None)
    if missing is not None:
        raise RubricError(
            f"A check changes `{missing}`, which is not in the build context",
            "Name a file of the exercise's starter folder, or one that learners hand in.",
        )
    return {
        path: files[path].data.rstrip(b"\n") + b"\n" + refresh(text, subject.fresh).encode() + b"\n"
        for path, text in additions.items()
    }
