"""The archive that travels to the engine."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SubmissionError
from grader.submission.context import MOST_PATTERNS, Context, pack
from grader.submission.files import File


def tree(*paths: str, ignore: str | bytes = "", **more: File) -> dict[str, File]:
    lines = ignore if isinstance(ignore, bytes) else ignore.encode()
    return {"Dockerfile": File(b"FROM x"), ".dockerignore": File(lines), **{p: File(b"1") for p in paths}, **more}


def members(context: Context) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(context.tar)) as archive:
        return archive.getmembers()


@pytest.mark.parametrize(
    ("ignore", "path", "left_out"),
    [
        ("*.md", "a.md", True),
        ("*.md", "docs/a.md", False),
        ("**/*.md", "docs/x/a.md", True),
        ("**/*.md", "a.md", True),
        ("docs", "docs/x/a.md", True),
        ("docs/", "docs/a.md", True),
        ("/docs", "docs/a.md", True),
        ("./docs", "docs/a.md", True),
        ("docs/**", "docs/a/b", True),
        ("# docs", "docs/a", False),
        ("#docs", "#docs", False),
        (" #docs", "#docs", True),
        ("  docs  ", "docs/a", True),
        ("docs\r\n*.md\r\n", "docs/a", True),
        ("\ufeffdocs", "docs/a", True),
        ("*\n!a.md", "a.md", False),
        ("*\n!a.md", "b.md", True),
        ("!a.md\n*", "a.md", True),
        ("docs\n!docs/keep.md", "docs/keep.md", False),
        ("docs\n!docs/keep.md", "docs/other.md", True),
        ("*\n! a.md", "a.md", False),
        ("[^a-c].txt", "d.txt", True),
        ("[^a-c].txt", "a.txt", False),
        ("a?.txt", "ab.txt", True),
        ("\\*", "x", False),
        ("DOCS", "docs/a", False),
        ("", "a", False),
    ],
)
def test_dockerignore(ignore: str, path: str, left_out: bool) -> None:  # noqa: FBT001 - a table's column
    context = pack(tree(path, ignore=ignore))
    assert (path in context.ignored, path in context.files) == (left_out, not left_out)


def test_the_dockerfile_always_travels() -> None:
    context = pack(tree("a", ignore="*"))
    assert context.files == ("Dockerfile",)
    assert context.ignored == (".dockerignore", "a")
    assert [member.name for member in members(context)] == ["Dockerfile"]


def test_the_ignore_file_travels_unless_it_names_itself() -> None:
    assert ".dockerignore" in pack(tree("a", ignore="a")).files
    assert ".dockerignore" not in pack(tree("a", ignore=".dockerignore")).files


def test_the_ignore_file_of_the_dockerfile_goes_first() -> None:
    own = {"Dockerfile.dockerignore": File(b"a\n")}
    context = pack(tree("a", "b", ignore="b", **own))
    assert context.ignored == ("a",)
    other = {"docker/Other": File(b"FROM x"), "docker/Other.dockerignore": File(b"b\nDockerfile\n")}
    context = pack(tree("a", "b", ignore="a", **other), dockerfile="docker/Other")
    assert (context.ignored, context.dockerfile) == (("Dockerfile", "b"), "docker/Other")


@pytest.mark.parametrize(("ignore", "line"), [("a\n[b\n", 2), ("!\n", 1), ("\n\nx\\", 3), ("# [\n[a-]\n", 2)])
def test_invalid_patterns_are_told_with_their_line(ignore: str, line: int) -> None:
    with pytest.raises(SubmissionError) as caught:
        pack(tree(ignore=ignore))
    assert caught.value.where == f".dockerignore:{line}"
    assert caught.value.fix


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_an_ignore_file_that_is_no_text(encoding: str) -> None:
    with pytest.raises(SubmissionError, match="plain text"):
        pack(tree(ignore="a\n".encode(encoding)))


def test_no_dockerfile() -> None:
    with pytest.raises(SubmissionError, match="no file named docker/Other"):
        pack(tree(), dockerfile="docker/Other")


def test_a_file_in_the_place_of_a_folder() -> None:
    with pytest.raises(SubmissionError, match=r"^a is a file"):
        pack(tree("a", "a/b"))


@pytest.mark.parametrize(("limit", "fits"), [(26, True), (25, False)])
def test_the_limit_is_inclusive_and_counts_what_is_sent(limit: int, fits: bool) -> None:  # noqa: FBT001
    files = tree(ignore="out", out=File(b"x" * 99), big=File(b"x" * 17))
    if fits:
        assert pack(files, limit=limit).size == limit
    else:
        with pytest.raises(SubmissionError) as caught:
            pack(files, limit=limit)
        assert (caught.value.where, ".dockerignore" in caught.value.fix) == ("big", True)


def test_headers() -> None:
    name = "deep/" * 30 + "ünïcode.txt"
    context = pack({"Dockerfile": File(b"FROM x"), name: File(b"1"), "a-b": File(b""), "a/run.sh": File(b"2", True)})
    # What Engine 20.10 takes for a Dockerfile.
    assert b"PaxHeader" not in context.tar
    found = members(context)
    names = [member.name for member in found]
    assert names.index("a") < names.index("a/run.sh")
    assert names.index("deep") < names.index("deep/deep") < names.index(name)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in found} == {(0, 0, 0, "", "")}
    assert not any(member.pax_headers for member in found)
    modes = {member.name: member.mode for member in found}
    assert (modes["Dockerfile"], modes["a"], modes["a/run.sh"]) == (0o644, 0o755, 0o755)


PATHS = st.lists(st.text("abc-é", min_size=1, max_size=60), min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.builds(File, st.binary(max_size=50), st.booleans()), max_size=6)


@given(FILES, st.randoms(use_true_random=False))
def test_equal_files_give_equal_bytes(files: dict[str, File], random: object) -> None:
    files = files | {"Dockerfile": File(b"FROM x")}
    shuffled = list(files.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    try:
        context = pack(files)
    except SubmissionError:
        return
    assert pack(dict(shuffled)).tar == context.tar
    with tarfile.open(fileobj=io.BytesIO(context.tar)) as archive:
        for path, file in files.items():
            stream = archive.extractfile(path)
            assert stream is not None
            assert stream.read() == file.data
            assert bool(archive.getmember(path).mode & 0o100) is file.executable


@given(FILES, FILES)
def test_other_files_give_other_bytes(one: dict[str, File], other: dict[str, File]) -> None:
    dockerfile = {"Dockerfile": File(b"FROM x")}
    try:
        same = pack(one | dockerfile).tar == pack(other | dockerfile).tar
    except SubmissionError:
        return
    assert same is (one == other)


def test_an_ignore_file_has_a_bound() -> None:
    ignore = File(b"x\n" * (MOST_PATTERNS - 1))
    assert pack({"Dockerfile": File(b"FROM scratch"), ".dockerignore": ignore}).files
    with pytest.raises(SubmissionError, match="more than 5,000 lines"):
        pack({"Dockerfile": File(b"FROM scratch"), ".dockerignore": File(ignore.data + b"x\n")})
