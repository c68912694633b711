"""What the tests of the engine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.tests.engine import building

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine


@pytest.fixture
def workshop(engine: Engine) -> Iterator[building.Workshop]:
    with building.workshop(engine) as made:
        yield made
