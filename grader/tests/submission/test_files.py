"""The learner's files over the exercise's own, and everything that a hostile folder may hold."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import ExitCode, GraderError, RubricError, SubmissionError, UsageError
from grader.submission import taking
from grader.submission.collect import collect
from grader.submission.files import File, Limits, Submission
from grader.submission.patterns import matches

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


def write(folder: Path, tree: dict[str, bytes]) -> Path:
    for path, data in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    tree = {"Dockerfile": b"FROM start", ".dockerignore": b"x", "app.py": b"own", "src/a.py": b"own"}
    return write(tmp_path / "starter", tree | {"__pycache__/app.pyc": b"litter"})


@pytest.fixture
def learner(tmp_path: Path) -> Path:
    return write(tmp_path / "learner", {"Dockerfile": b"FROM mine"})


def refused(starter: Path, learner: Path, submit: list[str], limits: Limits | None = None) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught:
        collect(starter, learner, submit, limits=limits)
    assert caught.value.what
    assert caught.value.where
    assert caught.value.fix
    assert caught.value.exit_code is ExitCode.NOT_PASSED
    return caught.value


def test_only_what_submit_names_is_taken(starter: Path, learner: Path) -> None:
    write(learner, {"app.py": b"cheat", "src/a.py": b"cheat", "extra.txt": b"", "more/x": b"", ".git/config": b""})
    found = collect(starter, learner, ["Dockerfile", ".dockerignore"])
    assert found.files == {"Dockerfile": File(b"FROM mine"), "app.py": File(b"own"), "src/a.py": File(b"own")}
    assert found.taken == ("Dockerfile",)
    assert found.ignored == ("app.py", "extra.txt", "more", "src/a.py")
    assert found.name == "learner"


def test_a_submitted_file_replaces_the_exercises_own(starter: Path, learner: Path) -> None:
    write(learner, {"src/a.py": b"mine", "src/b.py": b"new", "src/c.txt": b"not asked for"})
    found = collect(starter, learner, ["Dockerfile", "src/*.py"], name="someone")
    assert found.taken == ("Dockerfile", "src/a.py", "src/b.py")
    assert found.files["src/a.py"].data == b"mine"
    assert found.files[".dockerignore"].data == b"x"
    assert found.name == "someone"


def test_an_untouched_copy_of_the_exercise_is_not_worth_a_note(starter: Path, learner: Path) -> None:
    write(learner, {"app.py": b"own", "src/a.py": b"own"})
    assert collect(starter, learner, ["Dockerfile"]).ignored == ()


def test_the_note_on_ignored_files_is_short_and_printable(starter: Path, learner: Path) -> None:
    write(learner, {f"file-{number}": b"" for number in range(100)})
    if os.name != "nt":
        write(learner, {"a\x1b[31m": b""})
    ignored = collect(starter, learner, ["Dockerfile"]).ignored
    assert len(ignored) == 20
    assert all(path.isprintable() for path in ignored)


@pytest.mark.parametrize(
    ("pattern", "path", "verdict"),
    [
        ("Dockerfile", "Dockerfile", True),
        ("Dockerfile", "dockerfile", False),
        ("Dockerfile", "src/Dockerfile", False),
        ("src", "src/a.py", False),
        ("*.py", "a.py", True),
        ("*.py", "src/a.py", False),
        ("src/*", "src/a/b", False),
        ("src/?.py", "src/a.py", True),
        ("src/[ab].py", "src/c.py", False),
        ("tests/**", "tests/a/b/c.py", True),
        ("tests/**", "tests", False),
        ("**/*.py", "a.py", True),
        ("**/*.py", "a/b/c.py", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/x/y/c", False),
        ("**", "a/b", True),
        ("**/**/x", "x", True),
    ],
)
def test_matching(pattern: str, path: str, verdict: bool) -> None:  # noqa: FBT001 - a table's column
    assert matches(path, [tuple(pattern.split("/"))]) is verdict


def test_globs_find_what_matching_says(starter: Path, learner: Path) -> None:
    paths = ["a.py", "t/a.py", "t/u/v/b.py", "t/u/c.txt", "w/d.py"]
    write(learner, dict.fromkeys(paths, b""))
    for pattern in ["*.py", "t/**", "t/**/*.py", "**/*.py", "*/*", "t/u/*"]:
        taken = collect(starter, learner, [pattern]).taken
        assert taken == tuple(sorted(path for path in paths if matches(path, [tuple(pattern.split("/"))])))


@pytest.mark.parametrize("entry", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "."])
def test_submit_entries_stay_inside(starter: Path, learner: Path, entry: str) -> None:
    with pytest.raises(RubricError):
        collect(starter, learner, [entry])


def test_missing_folder_and_file_for_a_folder(starter: Path, learner: Path) -> None:
    for path in (learner / "nowhere", learner / "Dockerfile"):
        with pytest.raises(UsageError) as caught:
            collect(starter, path, ["Dockerfile"])
        assert caught.value.where == str(path)
    with pytest.raises(UsageError, match="starter"):
        collect(learner / "nowhere", learner, ["Dockerfile"])


def test_empty_folder(starter: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(starter, tmp_path / "empty", ["Dockerfile"]).what


@pytest.mark.parametrize("near", ["Dockerfile.txt", "DockerFile2", "dockerfile.md", "Docker file"])
def test_a_nearly_right_name_is_named(starter: Path, tmp_path: Path, near: str) -> None:
    learner = write(tmp_path / "near", {near: b"FROM x", "other": b""})
    error = refused(starter, learner, ["Dockerfile"])
    assert (near in error.what and near in error.fix) is (near != "DockerFile2")


@pytest.mark.parametrize("near", ["dockerfile", "DockerFile", "DOCKERFILE"])
def test_letter_case_counts(starter: Path, tmp_path: Path, near: str) -> None:
    learner = write(tmp_path / "near", {near: b"FROM x"})
    assert near in refused(starter, learner, ["Dockerfile"]).fix


def test_letter_case_counts_where_the_file_system_ignores_it(
    starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = write(tmp_path / "near", {"dockerfile": b"FROM x"})
    plain = Path.lstat

    def folding(path: Path) -> os.stat_result:
        return plain(path.parent / path.name.lower() if path.parent == learner else path)

    monkeypatch.setattr(Path, "lstat", folding)
    assert "dockerfile" in refused(starter, learner, ["Dockerfile"]).fix
    assert collect(starter, learner, ["dockerfile"]).taken == ("dockerfile",)


def test_no_dockerfile_is_fine_when_none_is_asked_for(starter: Path, tmp_path: Path) -> None:
    found = collect(starter, write(tmp_path / "l", {"app.py": b"mine"}), ["app.py"])
    assert found.files["Dockerfile"].data == b"FROM start"


@posix
@pytest.mark.parametrize("submit", ["Dockerfile", "Docker*", "**"])
@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "socket", "device"])
def test_special_files_are_refused(
    starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, submit: str
) -> None:
    learner = write(tmp_path / "special", {"other": b"FROM x"})
    path = learner / "Dockerfile"
    if kind == "symlink":
        path.symlink_to("other")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, 0o20666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        # A socket's name must be short.
        monkeypatch.chdir(learner)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("Dockerfile")
    error = refused(starter, learner, [submit])
    words = {"dangling": "symbolic link", "symlink": "symbolic link", "fifo": "pipe"}
    assert words.get(kind, kind) in error.what
    assert error.where == "Dockerfile"


def test_a_folder_named_like_a_file(starter: Path, tmp_path: Path) -> None:
    learner = write(tmp_path / "f", {"Dockerfile/x": b""})
    assert "folder" in refused(starter, learner, ["Dockerfile"]).what


@posix
@pytest.mark.parametrize("submit", ["src/a.py", "src/*.py", "**/*.py"])
def test_nothing_behind_a_linked_folder(starter: Path, learner: Path, tmp_path: Path, submit: str) -> None:
    write(tmp_path / "outside", {"a.py": b"secret"})
    (learner / "src").symlink_to(tmp_path / "outside")
    error = refused(starter, learner, ["Dockerfile", submit])
    assert ("symbolic link" in error.what, error.where) == (True, "src")


@posix
def test_a_link_that_nobody_asks_for_is_left_alone(starter: Path, learner: Path) -> None:
    (learner / "link").symlink_to("/")
    found = collect(starter, learner, ["Dockerfile"])
    assert (found.taken, found.ignored) == (("Dockerfile",), ("link",))


@posix
def test_a_file_swapped_for_a_pipe_after_the_look_does_not_block(
    starter: Path, learner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def swapping(path: Path, flags: int, *rest: int) -> int:
        if Path(path).name == "Dockerfile":
            Path(path).unlink()
            os.mkfifo(path)
        return really(path, flags, *rest)

    monkeypatch.setattr(os, "open", swapping)
    assert "pipe" in refused(starter, learner, ["Dockerfile"]).what


@posix
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root reads everything")
def test_an_unreadable_file(starter: Path, learner: Path) -> None:
    (learner / "Dockerfile").chmod(0)
    assert "cannot be read" in refused(starter, learner, ["Dockerfile"]).what


def test_a_file_that_fails_to_read_is_told_in_words(
    starter: Path, learner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", failing)
    assert "Permission denied" in refused(starter, learner, ["Dockerfile"]).what


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_dockerfile_limit_is_inclusive(starter: Path, learner: Path, size: int, fits: bool) -> None:  # noqa: FBT001
    write(learner, {"Dockerfile": b"#" * size})
    if fits:
        assert len(collect(starter, learner, ["Dockerfile"], limits=Limits(dockerfile=100)).files["Dockerfile"].data)
    else:
        error = refused(starter, learner, ["Dockerfile"], limits=Limits(dockerfile=100))
        assert "100 bytes" in error.what


def test_the_sum_of_the_files_is_limited(starter: Path, learner: Path) -> None:
    write(learner, {"a": b"x" * 60, "b": b"x" * 60})
    assert collect(starter, learner, ["a", "b"], limits=Limits(context=120)).taken == ("a", "b")
    assert refused(starter, learner, ["a", "b"], limits=Limits(context=119)).where == "b"


def test_a_huge_sparse_file_is_not_read(starter: Path, learner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (learner / "Dockerfile").open("wb") as stream:
        stream.truncate(1 << 36)
    reads: list[int | None] = []

    class Reader(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size)
            return super().read(size)

    monkeypatch.setattr(taking, "open", lambda descriptor, mode: Reader(io.FileIO(descriptor, mode)), raising=False)
    assert "1 MiB" in refused(starter, learner, ["Dockerfile"]).what
    assert reads == []
    write(learner, {"Dockerfile": b"FROM a"})
    collect(starter, learner, ["Dockerfile"])
    assert reads == [(1 << 20) + 1]  # what is read is seen


def test_entries_are_limited_only_where_a_pattern_looks(starter: Path, learner: Path) -> None:
    write(learner, {f"many/{number}": b"" for number in range(60)})
    assert collect(starter, learner, ["Dockerfile", "*.py"], limits=Limits(entries=50)).taken == ("Dockerfile",)
    assert "50" in refused(starter, learner, ["Dockerfile", "many/*.py"], limits=Limits(entries=50)).what


@posix
def test_folders_that_no_entry_needs_are_never_opened(
    starter: Path, learner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(learner, {"deep/er/x": b"", "src/a.py": b"", "node_modules/x/y": b""})
    opened: list[str] = []
    really = os.scandir

    def noting(path: Path) -> object:
        opened.append(Path(path).name)
        return really(path)

    monkeypatch.setattr(os, "scandir", noting)
    collect(starter, learner, ["Dockerfile", "src/*.py"])
    assert set(opened) <= {"learner", "src", "starter"}
    assert "src" in opened


@posix
def test_a_nesting_deeper_than_any_path_ends_in_words(starter: Path, learner: Path) -> None:
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(learner)
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.fchdir(home)
        os.close(home)
    error = refused(starter, learner, ["**"])
    assert isinstance(error, GraderError)
    assert "cannot be read" in error.what


@posix
@pytest.mark.parametrize("name", [b"a\n.py", b"\xff.py", b"\x1b[2J.py"])
def test_hostile_names(starter: Path, learner: Path, name: bytes) -> None:
    try:
        Path(os.fsdecode(os.fsencode(learner) + b"/" + name)).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes no such names")
    assert collect(starter, learner, ["Dockerfile"]).taken == ("Dockerfile",)
    error = refused(starter, learner, ["Dockerfile", "*.py"])
    assert f"{error.what}{error.where}".isascii()
    assert f"{error.what}{error.where}".isprintable()


@posix
def test_the_executable_bit_is_the_owners(starter: Path, learner: Path) -> None:
    plain = collect(starter, learner, ["Dockerfile"])
    (learner / "Dockerfile").chmod(0o744)
    executable = collect(starter, learner, ["Dockerfile"])
    assert (plain.files["Dockerfile"].executable, executable.files["Dockerfile"].executable) == (False, True)
    assert plain.digest != executable.digest


def _collected(tree: dict[str, bytes], order: list[str], mtime: int) -> Submission:
    with TemporaryDirectory() as folder:
        starter = write(Path(folder, "starter"), {"own": b""})
        learner = write(Path(folder, f"learner-{mtime}"), {name: tree[name] for name in order})
        for name in order:
            os.utime(learner / name, (mtime, mtime))
        return collect(starter, learner, ["*"])


TREES = st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), st.binary(max_size=20), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(TREES, st.randoms(use_true_random=False))
def test_the_digest_knows_neither_time_nor_order(tree: dict[str, bytes], random: object) -> None:
    shuffled = list(tree)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _collected(tree, list(tree), 1).digest == _collected(tree, shuffled, 2_000_000_000).digest


@settings(max_examples=30, deadline=None)
@given(TREES, TREES)
def test_other_content_has_another_digest(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    same = _collected(one, list(one), 1).digest == _collected(other, list(other), 1).digest
    assert same is (one == other)


def test_the_digest_is_over_what_was_taken(starter: Path, learner: Path) -> None:
    before = collect(starter, learner, ["Dockerfile"]).digest
    write(learner, {"notes.txt": b"new"})
    write(starter, {"app.py": b"newer"})
    assert collect(starter, learner, ["Dockerfile"]).digest == before
    assert before.startswith("sha256:")
    assert len(before) == 71
