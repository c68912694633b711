"""What an author's test of an image looks like; this one fails for every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.engine.image import Image


def test_it_weighs_less_than_nothing(image: Image) -> None:
    assert image.size < 0
