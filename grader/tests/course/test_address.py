from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.course.address import parse
from grader.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = SHA + SHA[:24]


@pytest.mark.parametrize("text", [".", "exercises", "/srv/course", "C:\\course", "C:/course", "a@b", "~/course"])
def test_a_folder_is_no_address(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "url", "ref", "pinned"),
    [
        (f"https://host/owner/repo@{SHA}", "https://host/owner/repo", SHA, True),
        (f"https://host/owner/repo@{SHA.upper()}", "https://host/owner/repo", SHA, True),
        (f"git+https://host/owner/repo.git@{SHA}", "https://host/owner/repo.git", SHA, True),
        ("https://host/owner/repo", "https://host/owner/repo", "", False),
        ("https://host/owner/repo@feature/x", "https://host/owner/repo", "feature/x", False),
        ("https://user@host/owner/repo@v1.2", "https://user@host/owner/repo", "v1.2", False),
        (f"ssh://git@host:22/repo@{SHA}", "ssh://git@host:22/repo", SHA, True),
        (f"git@host:owner/repo.git@{SHA}", "git@host:owner/repo.git", SHA, True),
        ("git@host:owner/repo", "git@host:owner/repo", "", False),
        (f"git+file:///srv/repo@{SHA}", "file:///srv/repo", SHA, True),
        (f"git+https://host/repo.zip@{SHA}", "https://host/repo.zip", SHA, True),
    ],
)
def test_repositories(text: str, url: str, ref: str, pinned: bool) -> None:  # noqa: FBT001
    found = parse(text)
    assert found is not None
    assert (found.kind, found.url, found.ref, found.pinned, found.remote) == ("git", url, ref, pinned, True)
    assert parse(found.typed) == found


@pytest.mark.parametrize(
    ("text", "url", "digest", "remote"),
    [
        ("course.zip", "course.zip", "", False),
        ("/srv/course.TGZ", "/srv/course.TGZ", "", False),
        ("https://host/a/course.tar.gz", "https://host/a/course.tar.gz", "", True),
        ("https://host/course.zip?raw=1", "https://host/course.zip?raw=1", "", True),
        (f"https://host/course.zip#sha256={DIGEST}", "https://host/course.zip", DIGEST, True),
        ("file:///srv/my%20course.zip", "/srv/my course.zip", "", False),
        ("file:///C:/course.zip", "C:/course.zip", "", False),
    ],
)
def test_archives(text: str, url: str, digest: str, remote: bool) -> None:  # noqa: FBT001
    found = parse(text)
    assert found is not None
    assert (found.kind, found.url, found.sha256, found.remote) == ("archive", url, digest, remote)
    assert found.pinned is bool(digest)


def test_a_folder_that_is_called_like_an_archive_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "course.zip").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse("course.zip") is None


def test_a_subdirectory() -> None:
    found = parse(f"https://host/repo@{SHA}#subdirectory=courses/docker/")
    assert found is not None
    assert (found.subdirectory, found.ref) == ("courses/docker", SHA)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host/repo",
        "ext::sh -c true",
        "ext://host/repo",
        "https://host",
        "https:///repo",
        "https://-oProxyCommand=x/repo",
        "https://host/repo@-upload-pack=x",
        "https://host/repo@a..b",
        "https://host/repo@a b",
        "https://host/repo#sha=1",
        "https://host/course.zip#sha256=12",
        "https://host/repo#subdirectory=../x",
        "https://host/repo#subdirectory=/etc",
        "https://host/repo#subdirectory=a\\b",
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_run(text: str) -> None:
    if text.startswith("ext::"):
        assert parse(text) is None  # the name of a folder that is not there
        return
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.fix
    assert caught.value.where == text
