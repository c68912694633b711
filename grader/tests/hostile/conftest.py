"""What is handed in is not ours to import, be it called `conftest.py` or `test_x.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine import private
from grader.engine.embedded.limits import GB, Limits
from grader.tests.engine import own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

collect_ignore = ["corpus"]

BASES = ("debian:bookworm-slim", "python:3.11-slim")


@pytest.fixture(scope="session")
def engine(engine: Engine) -> Iterator[Engine]:  # the suite's, which it takes the place of
    """An engine of the attacks' own, with all fences: what others do in the suite's is not counted as theirs.

    An engine that somebody chose is attacked itself.
    """
    if not engine.private or not private.available():
        yield engine
        return
    limits = Limits(disk=8 * GB, memory=1 * GB, processes=256)
    with own.engine(limits, images=engine, names=BASES, chosen=False) as (_, found):
        yield found
