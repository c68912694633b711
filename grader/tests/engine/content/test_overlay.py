"""Folders of overlay2 that do not tell what is in a layer."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grader.engine.content import overlay


def test_a_folder_that_the_kernel_redirects_is_not_read_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moved").mkdir()
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["trusted.overlay.redirect"], raising=False)
    with pytest.raises(overlay.Unreadable):
        overlay.walk(tmp_path)


@pytest.mark.parametrize(("owner", "walked"), [(0, True), (100_000, False)])
def test_folders_of_an_engine_with_user_namespaces_are_not_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, *, walked: bool
) -> None:
    """There the image's users have other numbers on the disk than in the image."""
    folders = {name: str(tmp_path / name) for name in ("UpperDir", "WorkDir")}
    for folder in folders.values():
        Path(folder).mkdir()
    real = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path: SimpleNamespace(st_uid=owner if path in folders.values() else real(path))
    )
    image = {"GraphDriver": {"Name": "overlay2", "Data": folders}, "RootFS": {"Layers": ["sha256:1"]}}
    engine: Any = SimpleNamespace(local=True)
    assert bool(overlay.folders(engine, image)) == walked
