"""A Dockerfile that is uploaded alone, under whatever name a platform gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.bulk import handed, plan, roster
from grader.errors import SubmissionError
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

UPLOADS = ("Dockerfile-1.txt", ".dockerignore", "app.py")


@pytest.mark.parametrize(
    ("entry", "learner", "told"),
    [
        ("doeada_5512_99812_Dockerfile", "doeada", ""),
        ("doeada_LATE_5512_99812_Dockerfile-1", "doeada", "Dockerfile-1"),
        ("doeada_late_5512_99812_dockerfile.txt", "doeada", "dockerfile.txt"),
        ("doeada_5512_99812_Dockerfile-2.txt", "doeada", "Dockerfile-2.txt"),
        ("Ada L_1234_assignsubmission_file_Dockerfile (1).txt", "Ada L", "Dockerfile (1).txt"),
        ("Ada L_1234_assignsubmission_file_/Dockerfile.txt", "Ada L", "Dockerfile.txt"),
    ],
)
def test_a_dockerfile_alone_is_a_submission(tmp_path: Path, entry: str, learner: str, told: str) -> None:
    write_files(tmp_path, {entry: "FROM scratch\n"})
    (found,) = roster.read(tmp_path)
    (given,) = found.handed
    assert (found.name, given.late) == (learner, "late" in entry.lower() if "doe" in entry else None)
    with handed.opened(given) as folder:
        assert [path.name for path in folder.iterdir()] == ["Dockerfile"]
        assert (folder / "Dockerfile").read_text() == "FROM scratch\n"
    notes = list(plan._notes(given, found, None))
    late = ["Late, by what the platform says that it was downloaded from"] if given.late else []
    assert notes == late + ([f"Graded as `Dockerfile`; it was handed in as `{told}`"] if told else [])


def test_what_a_learner_uploads_beside_the_dockerfile_belongs_to_it(tmp_path: Path) -> None:
    write_files(tmp_path, {f"doeada_1_{number}_{name}": name for number, name in enumerate(UPLOADS)})
    write_files(tmp_path, {"roebob_2_9_.dockerignore": "", "roebob_2_10_notes.pdf": "", "notes.txt": ""})
    (found,) = roster.read(tmp_path)
    (given,) = found.handed
    with handed.opened(given) as folder:
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "Dockerfile": "Dockerfile-1.txt",
            ".dockerignore": ".dockerignore",
        }


def test_a_folder_with_more_than_that_is_taken_as_it_is(tmp_path: Path) -> None:
    write_files(tmp_path / "ada", {"Dockerfile.txt": "", "app.py": ""})
    write_files(tmp_path / "bob", {"Dockerfile": "", ".dockerignore": ""})
    assert [learner.handed[0].files for learner in roster.read(tmp_path)] == [{}, {}]


def test_an_upload_that_is_a_link_is_somebody_elses_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/doeada_1_2_Dockerfile").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("FROM scratch\n")
    (found,) = roster.read(tmp_path / "in")
    with pytest.raises(SubmissionError), handed.opened(found.handed[0]):
        pass
