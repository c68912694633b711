from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from grader.files import put, put_if_other, tidy, written


def test_a_file_is_new_in_full_or_old_in_full(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    with pytest.raises(RuntimeError):
        _write_half(file)
    assert file.read_text() == "old"
    with written(file) as out:
        out.write("n\u00e9w")
    assert file.read_text(encoding="utf-8") == "n\u00e9w"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def _write_half(file: Path) -> None:
    with written(file) as out:
        out.write("half")
        out.flush()
        assert file.read_text() == "old"
        raise RuntimeError


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_files_mode_stays_and_a_new_file_is_as_any_other(tmp_path: Path) -> None:
    kept, new, other = tmp_path / "kept", tmp_path / "new", tmp_path / "other"
    kept.write_text("old")
    kept.chmod(0o640)
    other.touch()
    for file in (kept, new):
        with written(file) as out:
            out.write("x")
    assert kept.stat().st_mode & 0o777 == 0o640
    assert new.stat().st_mode == other.stat().st_mode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a right to make symlinks")
def test_a_symlink_goes_on_leading_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with written(tmp_path / "link") as out:
        out.write("x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "x"


def test_a_device_is_written_and_stays_one() -> None:
    with written(Path(os.devnull)) as out:
        out.write("x")
    assert not Path(os.devnull).is_file()


def test_what_is_put_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "kept.json"
    put(file, "n\u00e9w \ud800", synced=True)
    assert file.read_bytes() == "n\u00e9w \\ud800".encode()
    put(file, b"\0")
    assert file.read_bytes() == b"\0"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        put(tmp_path / "taken", "x")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "kept.json", "taken"]


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    assert put_if_other(file, "x")
    before = file.stat().st_ino
    assert not put_if_other(file, "x")
    assert file.stat().st_ino == before
    assert put_if_other(file, "y")


def test_what_a_killed_program_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "kept", "x")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", _end)
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            put(tmp_path / "kept", "y")
    assert len(list(tmp_path.iterdir())) == 2
    tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    tidy(tmp_path / "not there")


def _end(*_: object) -> None:
    raise SystemExit
