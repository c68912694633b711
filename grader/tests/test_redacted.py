"""No password, token or secret in anything that is told, kept or sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from grader.classroom import pinned
from grader.course import address, git
from grader.engine.buildsecrets import Secrets
from grader.errors import EngineError, UsageError
from grader.redacted import redacted
from grader.result import Status
from grader.tests.cli import programs

if TYPE_CHECKING:
    from pathlib import Path

    from grader.tests.conftest import Grade

TOKEN = "ghp_s3cr3t0fmine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"https://{TOKEN}@host/owner/repo@abc", "https://***@host/owner/repo@abc"),
        (f"https://user:{TOKEN}@host/x", "https://***@host/x"),
        (f"git+https://x-access-token:{TOKEN}@host/x.git#subdirectory=y", "git+https://***@host/x.git#subdirectory=y"),
        (f"http://user:p@ss{TOKEN}@proxy:3128", "http://***@proxy:3128"),
        (f"ssh://git:{TOKEN}@host/x", "ssh://git:***@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("git@host:owner/x", "git@host:owner/x"),
        (f"https://host/c.zip?token={TOKEN}&x=1", "https://host/c.zip?token=***&x=1"),
        (f"https://host/c.zip?x=1&X-Amz-Signature={TOKEN}", "https://host/c.zip?x=1&X-Amz-Signature=***"),
        (f"fatal: unable to access 'https://u:{TOKEN}@host/': 403", "fatal: unable to access 'https://***@host/': 403"),
        ("https://host/owner/repo@sha256:abc", "https://host/owner/repo@sha256:abc"),
        ("http://127.0.0.1:5000/?page=1 me@example.org", "http://127.0.0.1:5000/?page=1 me@example.org"),
    ],
)
def test_addresses_are_told_without_what_opens_them(text: str, told: str) -> None:
    assert redacted(text) == told
    assert redacted(told) == told


def test_no_message_has_them() -> None:
    url = f"https://user:{TOKEN}@host/x"
    error = EngineError(f"no {url}", f"mend {url}", where=url, log=(f"fatal: {url}",))
    assert TOKEN not in repr((str(error), error.what, error.fix, error.where, error.log, error.args))


def test_a_course_s_address_is_told_without_and_read_with(monkeypatch: pytest.MonkeyPatch) -> None:
    found = address.parse(f"git+https://user:{TOKEN}@127.0.0.1:9/owner/course")
    assert found is not None
    assert TOKEN not in str(found)
    assert address.parse(found.typed) == found
    asked: list[str] = []

    def refuse(command: list[str], **_: Any) -> None:
        asked.extend(command)
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", refuse)
    with pytest.raises(UsageError) as caught:
        git.resolve(found)
    assert [word for word in asked if TOKEN in word]
    assert TOKEN not in caught.value.where


def test_a_classroom_s_workflow_has_no_token_of_the_checkout_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = {"rev-parse": "a" * 40, "remote": f"https://user:{TOKEN}@host/owner/course", "status": ""}
    monkeypatch.setattr(
        pinned, "_git", lambda _, *words: str(tmp_path) if "--show-toplevel" in words else answers[words[0]]
    )
    assert pinned._of_checkout(tmp_path, "--course").typed == f"git+https://host/owner/course@{'a' * 40}"
    for give in (lambda text: pinned.course(text, None), pinned.package):  # type: ignore[arg-type]  # needs none
        with pytest.raises(UsageError, match="password or a token") as caught:
            give(f"git+https://{TOKEN}@host/owner/course@{'a' * 40}")
        assert TOKEN not in caught.value.where


def test_a_gradebook_and_its_journal_have_no_token_of_the_roster_s(tmp_path: Path) -> None:
    source = f"https://user:{TOKEN}@127.0.0.1:9/owner/work"
    (tmp_path / "work.csv").write_text(f"learner,repository\nada,{source}\n", encoding="utf-8")
    folder, _ = programs.course(tmp_path, programs.RUBRIC, "")
    out = tmp_path / "out"
    done = programs.run(
        "grader", "bulk", "1", str(tmp_path / "work.csv"), "--out", str(out), "--course", str(folder), cwd=tmp_path,
        env={"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    kept = {path: path.read_text(encoding="utf-8", errors="replace") for path in out.rglob("*") if path.is_file()}
    assert any("127.0.0.1:9/owner/work" in text for text in kept.values())
    assert [str(path) for path, text in kept.items() if TOKEN in text] == []
    assert TOKEN not in done.stdout + done.stderr


def test_a_secret_of_the_build_is_in_no_result(grade: Grade) -> None:
    secret = "correct horse battery"
    run = "RUN --mount=type=secret,id=it cat /run/secrets/it; echo; cat /run/secrets/it >&2"
    dockerfile = f"FROM debian:bookworm-slim\n{run}{{}}\n"
    build = {"secrets": {"it": secret}}
    for end, status in (("", Status.PASSED), ("; exit 3", Status.FAILED)):
        result = grade(dockerfile.format(end), [{"check": "build"}], build=build)
        assert result.status is status
        text = json.dumps(result.to_json(), default=str)
        assert secret not in text
        assert "***" in text


def test_what_is_too_short_to_hide_is_not_looked_for() -> None:
    assert Secrets({"x": b"e", "y": b""}).hidden("hello there") == "hello there"
    assert Secrets({"x": b"first line\nsecond line\n"}).hidden("a second line b") == "a *** b"
