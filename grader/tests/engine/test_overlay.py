"""Folders of overlay2 that do not tell what is in a layer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from grader.engine import overlay

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_that_the_kernel_redirects_is_not_read_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moved").mkdir()
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["trusted.overlay.redirect"], raising=False)
    with pytest.raises(overlay.Unreadable):
        overlay.walk(tmp_path)
