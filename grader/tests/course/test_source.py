"""Courses that are somewhere else: git repositories and archives, and what they may not do."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
import urllib.request
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.course import address, download, git, source
from grader.course.exercise import find_course
from grader.errors import EngineError, UsageError
from grader.tests.cli.programs import run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = "0123456789abcdef0123456789abcdef01234567"
IDENTITY = ("-c", "user.name=An author", "-c", "user.email=author@example.org")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache"


def called(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *IDENTITY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def course(root: Path, title: str = "A far course") -> Path:
    write_files(root / "exercises", {"course.yaml": f"title: {title}\n", "01-tiny/rubric.yaml": "title: Tiny\n"})
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = course(tmp_path / "far")
    called(root, "init", "--quiet", "--initial-branch=main")
    called(root, "add", "--all")
    called(root, "commit", "--quiet", "--message=one")
    return root


def fetched(text: str) -> source.Fetched:
    found = address.parse(text)
    assert found is not None
    return source.fetch(found)


def head(repository: Path) -> str:
    return called(repository, "rev-parse", "HEAD")


# --- git ---------------------------------------------------------------------------------------------------------


def test_a_commit_is_read_once(repository: Path) -> None:
    commit = head(repository)
    first = fetched(f"git+{repository.as_uri()}@{commit}")
    assert find_course(first.folder).title == "A far course"
    assert first.note == ""
    shutil.rmtree(repository)
    assert fetched(f"git+{repository.as_uri()}@{commit}") == first


def test_a_branch_is_looked_up_each_time_and_said(repository: Path) -> None:
    first = fetched(f"{repository.as_uri()}@main")
    assert head(repository) in first.note
    assert "branch main" in first.note
    assert str(first.pinned) == f"git+{repository.as_uri()}@{head(repository)}"
    course(repository, "Another")
    called(repository, "commit", "--quiet", "--all", "--message=two")
    second = fetched(f"{repository.as_uri()}@main")
    assert find_course(second.folder).title == "Another"
    assert find_course(first.folder).title == "A far course"


def test_a_tag_and_the_default_branch_are_said(repository: Path) -> None:
    called(repository, "tag", "--annotate", "--message=a tag", "v1")
    tagged = fetched(f"{repository.as_uri()}@v1")
    assert "the tag v1 is commit " + head(repository) in tagged.note
    assert "its default branch is commit " + head(repository) in fetched(repository.as_uri()).note


def test_a_commit_that_no_branch_begins_with(repository: Path) -> None:
    old = head(repository)
    course(repository, "Another")
    called(repository, "commit", "--quiet", "--all", "--message=two")
    assert find_course(fetched(f"{repository.as_uri()}@{old}").folder).title == "A far course"


@pytest.mark.parametrize("ref", ["none", NOWHERE, NOWHERE[:8]])
def test_what_is_not_there_is_the_callers_to_mend(ref: str, repository: Path, cache: Path) -> None:
    with pytest.raises(UsageError) as caught:
        fetched(f"{repository.as_uri()}@{ref}")
    assert caught.value.where == repository.as_uri()
    assert ("40 digits" in caught.value.fix) is (ref == NOWHERE[:8])
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_repository_out_of_reach_is_nobodys_fault() -> None:
    with pytest.raises(EngineError) as caught:
        fetched(f"https://127.0.0.1:1/repo@{NOWHERE}")
    assert caught.value.log


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no git"):
        fetched("https://127.0.0.1:1/repo@main")


def test_nothing_of_the_repository_is_run(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, filters and submodules of the repository, and hooks that a template of the user's would plant."""
    told = tmp_path / "was-run"
    touch = f"#!/bin/sh\ntouch '{told}'\n"
    inner = course(tmp_path / "inner")
    called(inner, "init", "--quiet")
    called(inner, "add", "--all")
    called(inner, "commit", "--quiet", "--message=inner")
    called(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.as_uri(), "inner")
    attributes = "* filter=evil diff=evil\nexercises/** export-subst\n"
    write_files(repository, {".gitattributes": attributes, ".lfsconfig": "[lfs]\n\turl = https://127.0.0.1:1/\n"})
    called(repository, "add", "--all")
    called(repository, "commit", "--quiet", "--message=evil")
    planted = tmp_path / "template/hooks"
    for hooks in (repository / ".git/hooks", planted):
        names = ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman")
        write_files(hooks, dict.fromkeys(names, touch))
        for hook in hooks.iterdir():
            hook.chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[init]\n\ttemplateDir = {tmp_path / 'template'}\n[core]\n\thooksPath = {planted}\n"
        f"\tfsmonitor = {planted / 'fsmonitor-watchman'}\n[fetch]\n\trecurseSubmodules = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    folder = fetched(f"{repository.as_uri()}@{head(repository)}").folder
    assert find_course(folder).title == "A far course"
    assert not told.exists()
    assert not list((folder / "inner").iterdir())
    assert not (folder / ".git").exists()


def test_other_transports_are_not_spoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the user's own settings would turn a harmless address into such a one."""
    settings = tmp_path / "gitconfig"
    told = tmp_path / "was-run"
    settings.write_text(f'[url "ext::touch {told} "]\n\tinsteadOf = https://evil.example/\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    with pytest.raises(EngineError):
        fetched(f"https://evil.example/repo@{NOWHERE}")
    assert not told.exists()


def test_a_link_out_of_the_repository_is_refused(repository: Path, cache: Path) -> None:
    (repository / "exercises/01-tiny/secret").symlink_to("/etc/passwd")
    called(repository, "add", "--all")
    called(repository, "commit", "--quiet", "--message=link")
    with pytest.raises(UsageError, match="leads out"):
        fetched(f"{repository.as_uri()}@main")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_hanging_server_is_given_up(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setattr(git, "TIMEOUT", 0.0)
    with pytest.raises(EngineError, match="did not answer"):
        fetched(f"{repository.as_uri()}@main")


# --- archives ----------------------------------------------------------------------------------------------------


def packed(folder: Path, kind: str = "gztar", *, prefix: str = "far-1.0") -> Path:
    course(folder / "packed" / prefix)
    return Path(shutil.make_archive(str(folder / "course"), kind, folder / "packed"))


@pytest.mark.parametrize("kind", ["gztar", "zip"])
@pytest.mark.parametrize("prefix", ["far-1.0", "."])
def test_an_archive_on_this_machine(kind: str, prefix: str, tmp_path: Path) -> None:
    archive = packed(tmp_path, kind, prefix=prefix)
    found = fetched(str(archive))
    assert find_course(found.folder).title == "A far course"
    assert found.note == ""
    assert fetched(archive.as_uri()).folder == found.folder


def test_a_subdirectory(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    assert find_course(fetched(f"{archive.as_uri()}#subdirectory=far-1.0/exercises").folder).title == "A far course"
    with pytest.raises(UsageError, match="no folder"):
        fetched(f"{archive.as_uri()}#subdirectory=none")


class Server(ThreadingHTTPServer):
    """Answers with ``answers`` by path: bytes, or a status with headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, bytes | tuple[int, dict[str, str]]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, (404, {}))
        status, headers, body = (200, {}, answer) if isinstance(answer, bytes) else (*answer, b"")
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the parent's name
        """Say nothing: a test's output is the test's."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_an_archive_held_to_a_digest_is_loaded_once(server: Server, tmp_path: Path) -> None:
    content = packed(tmp_path).read_bytes()
    server.answers["/course.tar.gz"] = content
    digest = hashlib.sha256(content).hexdigest()
    first = fetched(f"{server.url}/course.tar.gz#sha256={digest}")
    assert find_course(first.folder).title == "A far course"
    assert first.note == ""
    assert fetched(f"{server.url}/course.tar.gz#sha256={digest}") == first
    assert server.asked == ["/course.tar.gz"]


def test_an_archive_that_may_change_is_loaded_each_time_and_its_digest_said(server: Server, tmp_path: Path) -> None:
    content = packed(tmp_path).read_bytes()
    server.answers["/course.tar.gz"] = content
    digest = hashlib.sha256(content).hexdigest()
    for _ in range(2):
        assert f"#sha256={digest}" in fetched(f"{server.url}/course.tar.gz").note
    assert len(server.asked) == 2


def test_another_archive_than_the_digest_says_is_refused(server: Server, tmp_path: Path, cache: Path) -> None:
    server.answers["/course.tar.gz"] = packed(tmp_path).read_bytes()
    with pytest.raises(UsageError, match="is another one"):
        fetched(f"{server.url}/course.tar.gz#sha256={'0' * 64}")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_redirection_is_followed_but_never_to_a_less_safe_place(server: Server, tmp_path: Path) -> None:
    server.answers["/course.tar.gz"] = packed(tmp_path).read_bytes()
    server.answers["/moved.tar.gz"] = (302, {"Location": "/course.tar.gz"})
    assert find_course(fetched(f"{server.url}/moved.tar.gz").folder).title == "A far course"
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        server.answers["/evil.tar.gz"] = (302, {"Location": target})
        with pytest.raises(UsageError, match=r"answers with 302|not safe"):
            fetched(f"{server.url}/evil.tar.gz")
    secure = urllib.request.Request("https://host/course.zip")
    with pytest.raises(UsageError, match="not safe"):
        download._NoStepDown().redirect_request(secure, None, 302, "Found", Message(), "http://host/course.zip")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, UsageError), (403, UsageError), (429, EngineError), (503, EngineError)]
)
def test_whose_fault_it_is(status: int, kind: type[Exception], server: Server) -> None:
    server.answers["/course.zip"] = (status, {})
    with pytest.raises(kind, match=str(status)):
        fetched(f"{server.url}/course.zip")


def test_a_download_is_bounded(server: Server, tmp_path: Path) -> None:
    server.answers["/big.zip"] = bytes(100_000)
    with pytest.raises(UsageError, match="more than"):
        download.save(f"{server.url}/big.zip", tmp_path / "big", limit=99_999, silence=5)
    assert len(download.save(f"{server.url}/big.zip", tmp_path / "big", limit=100_000, silence=5)) == 64


# --- as it is typed ----------------------------------------------------------------------------------------------


def test_every_command_takes_them(repository: Path, tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    pinned = f"git+{repository.as_uri()}@{head(repository)}"
    done = run("grader", "list", "--course", pinned, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "01-tiny" in done.stdout
    assert "01-tiny" in run("grader", "list", env=env | {"GRADER_COURSE": pinned}).stdout
    moving = run("grader", "list", "--course", f"{repository.as_uri()}@main", env=env)
    assert f"the branch main is commit {head(repository)} now" in moving.stderr
    refused = run("grade", "1", "--course", f"{repository.as_uri()}@none", env=env)
    assert refused.returncode == 2
    assert "no branch or tag" in refused.stderr


def test_nothing_is_written_into_a_course_that_is_elsewhere(repository: Path, tmp_path: Path) -> None:
    done = run("grader", "new", "x", "--course", f"{repository.as_uri()}@main", env={"XDG_CACHE_HOME": str(tmp_path)})
    assert done.returncode == 2
