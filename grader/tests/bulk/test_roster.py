"""Who is graded, by the layouts that classrooms' tools leave."""

from __future__ import annotations

import errno
import json
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from grader.bulk import handed, roster
from grader.bulk.learner import Handed
from grader.errors import EngineError, SubmissionError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def folders(place: Path, *names: str) -> Path:
    for name in names:
        (place / name).mkdir(parents=True)
    return place


def names(place: Path, listed: Path | None = None) -> list[str]:
    return [learner.name for learner in roster.read(place, listed)]


def test_a_folder_or_an_archive_for_each_learner(tmp_path: Path) -> None:
    folders(tmp_path, "ada", "bob", ".git", "__MACOSX")
    for file in ("cyd.zip", "dan.tar.gz", "eve.TGZ", "notes.txt", ".DS_Store"):
        (tmp_path / file).touch()
    assert names(tmp_path) == ["ada", "bob", "cyd", "dan", "eve"]


def test_names_keep_what_they_have_in_common(tmp_path: Path) -> None:
    assert names(folders(tmp_path, "student-1", "student-2")) == ["student-1", "student-2"]


def test_gh_classroom_puts_the_assignment_before_each_name(tmp_path: Path) -> None:
    folders(tmp_path / "web-submissions", "web-ada", "web-bob-b")
    assert names(tmp_path) == ["ada", "bob-b"]
    assert names(tmp_path / "web-submissions") == ["ada", "bob-b"]
    folders(tmp_path / "web-submissions", "other")
    assert names(tmp_path) == ["other", "web-ada", "web-bob-b"], "one that is not named so keeps all names whole"


def test_classroom_50_says_in_each_result_where_it_is_from(tmp_path: Path) -> None:
    folders(tmp_path, "cs-web-ada", "cs-web-bob")
    said = {"schema": "classroom50/result/v1", "classroom": "cs", "assignment": "web"}
    for name in ("cs-web-ada", "cs-web-bob"):
        (tmp_path / name / "result.json").write_text(json.dumps(said))
    assert names(tmp_path) == ["ada", "bob"]
    (tmp_path / "cs-web-bob" / "result.json").write_text("[1]")
    assert names(tmp_path) == ["cs-web-ada", "cs-web-bob"]


def test_moodle_and_canvas_tell_their_own_numbers(tmp_path: Path) -> None:
    folders(tmp_path, "Ada Lovelace_1234_assignsubmission_file_", "Bob O_Hara_77_assignsubmission_file")
    (tmp_path / "doecyd_LATE_5512_99812_work-1.zip").touch()
    (tmp_path / "doedan_5513_99813_work.zip").touch()
    found = {learner.name: learner.handed[0] for learner in roster.read(tmp_path)}
    assert found["Ada Lovelace"].ids == {"moodle": "1234"}
    assert found["Bob O_Hara"].ids == {"moodle": "77"}
    assert (found["doecyd"].ids, found["doecyd"].late) == ({"canvas": "5512"}, True)
    assert (found["doedan"].ids, found["doedan"].late) == ({"canvas": "5513"}, False)


def test_a_roster_names_those_who_handed_in_nothing(tmp_path: Path) -> None:
    place = folders(tmp_path / "in", "ada", "unlisted")
    listed = tmp_path / "roster.csv"
    listed.write_text("\ufeffIdentifier,Name\nada,Ada\nbob,Bob\n\n", encoding="utf-8")
    found = {learner.name: len(learner.handed) for learner in roster.read(place, listed)}
    assert found == {"ada": 1, "bob": 0, "unlisted": 1}


@pytest.mark.parametrize(
    ("entry", "listed", "name"),
    [
        (
            "lovelaceada_5512_99_work.zip",
            'Student,ID,SIS Login ID,Section\n"Lovelace, Ada",5512,ada1,A\n',
            "Lovelace, Ada",
        ),
        ("Ada L_1234_assignsubmission_file_w.zip", "Identifier,Full name\nParticipant 1234,Ada Love\n", "Ada Love"),
        ("AdaL.zip", "identifier,github_username,github_id,name\nada@x,adal,7,\n", "ada@x"),
        ("adal.zip", "github_username,roster_identifier,student_repository_url\nadal,ada,https://x/y\n", "ada"),
    ],
)
def test_systems_own_exports_tell_who_is_who(tmp_path: Path, entry: str, listed: str, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / entry).touch()
    (tmp_path / "roster.csv").write_text(f"{listed}    Points Possible,,,\n" if "Student" in listed else listed)
    (found,) = roster.read(tmp_path / "in", tmp_path / "roster.csv")
    assert (found.name, len(found.handed)) == (name, 1)
    assert found.listed


def test_two_of_the_same_name_are_two(tmp_path: Path) -> None:
    folders(tmp_path / "in", "Jan N_1_assignsubmission_file", "Jan N_2_assignsubmission_file")
    assert names(tmp_path / "in") == ["Jan N (1)", "Jan N (2)"]
    listed = tmp_path / "roster.csv"
    listed.write_text("Identifier,Full name\nParticipant 1,Jan N\nParticipant 2,Jan N\nParticipant 3,Jan N\n")
    assert names(tmp_path / "in", listed) == ["Jan N (1)", "Jan N (2)", "Jan N (3)"]
    listed.write_text("learner\nJan N\n")
    assert names(tmp_path / "in", listed) == ["Jan N", "Jan N (1)", "Jan N (2)"]


def test_an_online_text_is_no_second_submission(tmp_path: Path) -> None:
    folders(tmp_path, "Ada_1_assignsubmission_file", "Ada_1_assignsubmission_onlinetext")
    folders(tmp_path, "Bob_2_assignsubmission_onlinetext")
    assert [len(learner.handed) for learner in roster.read(tmp_path)] == [1, 1]
    assert "onlinetext" not in roster.read(tmp_path)[0].handed[0].source


def test_rows_of_a_csv_file_are_submissions(tmp_path: Path) -> None:
    rows = tmp_path / "class.csv"
    rows.write_text(
        "github_username,student_repository_url,commit,submission_timestamp\n"
        "ada,https://localhost/ada.git,abc,2026-11-20T10:00:00Z\n"
        "ada,work/ada,,2026-11-19 10:00:00 UTC\n"
        "bob,,,\n"
    )
    ada, bob = roster.read(rows)
    assert [one.source for one in ada.handed] == [str(tmp_path / "work/ada"), "https://localhost/ada.git"], (
        "oldest first"
    )
    assert ada.handed[1].commit == "abc"
    assert ada.handed[1].submitted == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert bob.handed == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "no column that names the learners"),
        ("learner,time\nada,soon\n", ""),
        ("learner,path,time\nada,x,soon\n", "time that is none: soon"),
        (b"learner\n\xff\xfe\n", "cannot be read"),
        ("", "no column"),
    ],
)
def test_a_roster_that_says_nothing_is_refused_by_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = tmp_path / "class.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if not told:
        assert names(path) == ["ada"]
        return
    with pytest.raises(UsageError, match=told) as caught:
        roster.read(path)
    assert str(path) in caught.value.where


def test_nobody_is_a_mistake(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            roster.read(place)


# --- what was handed in -----------------------------------------------------------------------------------------------


def test_the_folder_inside_a_folder_is_meant(tmp_path: Path) -> None:
    folders(tmp_path, "a/b/c")
    (tmp_path / "a/b/c/Dockerfile").touch()
    (tmp_path / "a/.git").mkdir()
    with handed.opened(Handed("ada", str(tmp_path))) as folder:
        assert folder == tmp_path / "a/b/c"
    (tmp_path / "a/b/other").mkdir()
    with handed.opened(Handed("ada", str(tmp_path))) as folder:
        assert folder == tmp_path / "a/b", "which of two is nobody's guess"


def test_a_link_to_a_folder_elsewhere_is_not_gone_into(tmp_path: Path) -> None:
    folders(tmp_path, "secret", "it")
    (tmp_path / "it/link").symlink_to(tmp_path / "secret")
    with handed.opened(Handed("ada", str(tmp_path / "it"))) as folder:
        assert folder == tmp_path / "it"


def test_the_time_is_the_commits_and_the_repository_runs_nothing(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    git("add", ".")
    date = "2026-11-20T10:00:00Z"
    subprocess.run(
        ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
        check=True,
        env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z"},
    )
    for setting in ("core.pager", "core.fsmonitor", "gpg.program", "core.sshCommand"):
        git("config", setting, f"touch {tmp_path}/ran; false")
    git("config", "log.showSignature", "true")
    assert handed.committed(tmp_path) == datetime(2026, 11, 20, 10, tzinfo=UTC)
    git("pack-refs", "--all")
    assert handed.committed(tmp_path) == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert not (tmp_path / "ran").exists()
    (tmp_path / ".git/HEAD").write_text("ref: refs/../../etc/passwd\n")
    assert handed.committed(tmp_path) is None


@pytest.mark.parametrize(
    "broken", [b"PK\3\4 nonsense", b"\x1f\x8b\x08 nonsense", b"", b"\1" * 2000, b"PK\5\6" + b"\xff" * 18]
)
def test_a_broken_archive_is_its_learners(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "ada.zip").write_bytes(broken)
    with pytest.raises(SubmissionError) as caught, handed.opened(Handed("ada", str(tmp_path / "ada.zip"))):
        pass
    assert "course" not in caught.value.what


def test_whatever_a_reader_of_archives_raises_is_no_end_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Handed("ada", str(tmp_path / "ada.zip"))
    raised: list[Exception] = [KeyError("x"), OSError(errno.ENOSPC, "full"), OSError("seek")]

    def unpack(*_: object, **__: object) -> None:
        raise raised[0]

    monkeypatch.setattr("grader.course.unpack.unpack", unpack)
    for kind in (SubmissionError, EngineError, SubmissionError):
        with pytest.raises(kind), handed.opened(ada):
            pass
        del raised[0]


def test_a_learners_repository_is_called_no_course_and_what_it_must_not_hold_is_the_learners_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]
    repository = tmp_path / "ada"
    repository.mkdir()
    (repository / "Dockerfile").symlink_to("../../secret")
    for words in (["init", "-q"], ["add", "."], commit):
        subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True)
    for source, kind in ((repository, SubmissionError), (tmp_path / "nowhere", UsageError)):
        with pytest.raises(kind) as caught, handed.opened(Handed("ada", f"git+file://{source}")):
            pass
        assert "course" not in str(caught.value).lower()
