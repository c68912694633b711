"""The suite's own watch over the two readers notices when they disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine.content import overlay
from grader.engine.content.layers import Entry
from grader.engine.image import inspect
from grader.tests.engine.agreement import watching

if TYPE_CHECKING:
    from grader.tests.engine.building import Workshop


def test_what_is_walked_is_streamed_and_told_when_it_differs(workshop: Workshop) -> None:
    image = workshop.image("FROM scratch\nCOPY app.py /\n", {"app.py": "agreed"})
    if not overlay.folders(workshop.engine, inspect(workshop.engine, image.id)):
        pytest.skip("this engine's folders cannot be walked from here")
    with watching(workshop.engine) as agreement:
        (layer,) = image.layers
        assert agreement.disagreements() == []
        agreement.walked[layer.diff_id] = ({"app.py": Entry("file", 7)}, {"app.py": "gcc"})
        entries, programs = agreement.disagreements()
        assert "/app.py: walked Entry(kind='file', size=7" in entries
        assert "walked gcc, streamed None" in programs
        (kept,) = agreement.kept
    assert not workshop.engine.client.images(filters={"reference": kept}, quiet=True)
    assert kept not in [one["Id"] for one in workshop.engine.client.images(all=True)]
