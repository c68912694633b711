from __future__ import annotations

import pytest

from grader.submission import dockerfile as dockerfiles
from grader.submission.secretmounts import has_cache_mounts, mounted_ids, needs_session, renewed

MARK = " --mount=type=secret,id=m"


def marked(text: str, *types: str) -> str | None:
    data = renewed(text.encode(), dockerfiles.parse(text.encode()), "m", set(types) or {"secret"})
    return None if data is None else data.decode()


def test_caches_are_marked_where_that_is_asked_for() -> None:
    both = "FROM a\nRUN --mount=type=cache,target=/c x\nRUN --mount=type=secret,id=a y\nRUN z\n"
    secret, cache, plain = "RUN --mount=type=secret,id=a y", "RUN --mount=type=cache,target=/c x", "RUN z\n"
    assert marked(both) == f"FROM a\n{cache}\n{secret.replace('RUN', 'RUN' + MARK)}\n{plain}"
    assert marked(both, "cache") == f"FROM a\n{cache.replace('RUN', 'RUN' + MARK)}\n{secret}\n{plain}"
    assert marked(both, "cache", "secret") == both.replace("RUN --", f"RUN{MARK} --")
    assert has_cache_mounts(dockerfiles.parse(both.encode()))
    assert not has_cache_mounts(dockerfiles.parse(b"FROM a\nRUN --mount=type=tmpfs,target=/c x\n"))


@pytest.mark.parametrize(
    ("run", "needs"),
    [
        ("RUN --mount=type=secret,id=a true", True),
        ("RUN --mount=id=a,type=secret true", True),
        ("run --mount=type=ssh true", True),
        ("RUN --mount=type=cache,target=/c --mount=type=secret,id=a true", True),
        ("ONBUILD RUN --mount=type=secret,id=a true", True),
        ("RUN --mount=type=cache,target=/c true", False),
        ("RUN echo --mount=type=secret,id=a", False),
        ("COPY a /--mount=type=secret", False),
    ],
)
def test_a_session_is_for_secrets_and_ssh_agents(run: str, *, needs: bool) -> None:
    assert needs_session(dockerfiles.parse(f"FROM a\n{run}\nFROM b\n".encode())) is needs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nRUN --mount=type=secret,id=a true\n", f"FROM a\nRUN{MARK} --mount=type=secret,id=a true\n"),
        ("FROM a\n  run\t--mount=type=secret,id=a x\n", f"FROM a\n  run{MARK}\t--mount=type=secret,id=a x\n"),
        ("FROM a\r\nRUN --mount=type=secret,id=a x\r\n", f"FROM a\r\nRUN{MARK} --mount=type=secret,id=a x\r\n"),
        (
            "FROM a\nRUN \\\n --mount=type=secret,id=a \\\n x\n",
            f"FROM a\nRUN{MARK} \\\n --mount=type=secret,id=a \\\n x\n",
        ),
        ("FROM a\nONBUILD RUN --mount=type=secret,id=a x\n", f"FROM a\nONBUILD RUN{MARK} --mount=type=secret,id=a x\n"),
        ("FROM a\nRUN --mount=type=secret,id=é é\nRUN é", f"FROM a\nRUN{MARK} --mount=type=secret,id=é é\nRUN é"),
        ("\ufeffFROM a\nRUN --mount=type=secret,id=a x", f"\ufeffFROM a\nRUN{MARK} --mount=type=secret,id=a x"),
        (
            "FROM a\nRUN --mount=type=secret,id=a <<E\nRUN --mount=type=secret,id=b x\nE\nRUN y\n",
            f"FROM a\nRUN{MARK} --mount=type=secret,id=a <<E\nRUN --mount=type=secret,id=b x\nE\nRUN y\n",
        ),
        (
            "FROM a AS b\nRUN --mount=type=secret,id=a x\nFROM b\nRUN --mount=type=secret,target=/z y\n",
            f"FROM a AS b\nRUN{MARK} --mount=type=secret,id=a x\nFROM b\nRUN{MARK} --mount=type=secret,target=/z y\n",
        ),
    ],
)
def test_the_steps_that_mount_a_secret_get_a_mark_and_no_line_moves(text: str, expected: str) -> None:
    assert marked(text) == expected
    lines = dockerfiles.parse(text.encode()).stages[0].instructions
    assert [each.line for each in dockerfiles.parse(expected.encode()).stages[0].instructions] == [
        each.line for each in lines
    ]


@pytest.mark.parametrize("text", ["FROM a\nRUN --mount=type=ssh x\nRUN y\n", "FROM a\nCOPY a /b\n"])
def test_other_steps_stay_as_they_are(text: str) -> None:
    assert marked(text) == text


@pytest.mark.parametrize(
    "text", ["FROM a\nRUN\\\n --mount=type=secret,id=a x\n", "FROM a\nRU\\\nN --mount=type=secret,id=a x\n"]
)
def test_where_a_mark_cannot_be_set_that_is_said(text: str) -> None:
    assert marked(text) is None


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("id=a", {"a"}),
        ("id=a,target=/x/b", {"a"}),
        ("target=/x/b", {"b"}),
        ("dst=/x/b", {"b"}),
        ("destination=b", {"b"}),
        ("id=a,env=TOKEN", {"a"}),
    ],
)
def test_a_secret_is_named_by_its_id_or_by_its_file(options: str, ids: set[str]) -> None:
    dockerfile = dockerfiles.parse(f"FROM a\nRUN --mount=type=secret,{options} x\n".encode())
    assert mounted_ids(dockerfile, dockerfile.final) == ids


def test_only_stages_that_the_image_is_made_from_count() -> None:
    dockerfile = dockerfiles.parse(
        b"FROM a AS below\nRUN --mount=type=secret,id=below x\n"
        b"FROM a AS aside\nRUN --mount=type=secret,id=aside x\n"
        b"FROM a AS copied\nRUN --mount=type=secret,id=copied x\n"
        b"FROM below\nCOPY --from=copied /x /x\nRUN --mount=type=secret,id=last --mount=type=secret,id=more x\n"
    )
    assert mounted_ids(dockerfile, dockerfile.final) == {"below", "copied", "last", "more"}
    assert mounted_ids(dockerfile, dockerfile.stages[1]) == {"aside"}
