"""How large the image of an exercise's starter was, once somebody has graded it: what a learner began with.

Kept in the user's cache, a file for each starter, platform and kind of base images; sizes of others do not compare.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import platformdirs

from grader.errors import GraderError
from grader.files import put
from grader.submission.collect import collect

if TYPE_CHECKING:
    from pathlib import Path

    from grader.course.exercise import Exercise
    from grader.course.settings import Settings
    from grader.result import GradeResult


def size(exercise: Exercise, settings: Settings, result: GradeResult) -> int | None:
    """Bytes of the starter's image as it was on such an engine; None when that is not known, or is what was graded.

    A result of the starter itself is kept for later ones. That this fails is no reason to fail anything.
    """
    if result.image is None or result.engine is None:
        return None
    with suppress(GraderError, OSError, ValueError):
        digest = collect(exercise.starter, exercise.starter, settings.submit).digest
        kind = [exercise.id, digest, result.engine.platform, bool(result.engine.stand_ins)]
        file = _folder() / f"{hashlib.sha256(json.dumps(kind).encode()).hexdigest()}.json"
        if result.submission.digest == digest:
            put(file, json.dumps(result.image.size))
        else:
            kept = json.loads(file.read_bytes())
            return kept if isinstance(kept, int) else None
    return None


def _folder() -> Path:
    return platformdirs.user_cache_path("image-grader") / "starters-1"
