from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import grader
from grader.course.exercise import Course, find_course, resolve
from grader.errors import ExitCode, RubricError, UsageError
from grader.result import Fault

CLONE = Path(grader.__file__).parents[1]


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone with three exercises."""
    root = tmp_path.resolve() / "clone"
    write(root / "exercises/course.yaml", "# what learners see\ntitle: Images\n")
    write(root / "exercises/01-first-image/rubric.yaml", "format: 1\ntitle: Your first image\n")
    write(root / "exercises/10-health/rubric.yaml", 'title: "Health: checks"\n')
    write(root / "exercises/03-multi-stage-builds/rubric.yaml", "title: 'Multi-stage builds'\n")
    write(root / "exercises/03-multi-stage-builds/starter/app/main.py", "")
    write(root / "exercises/notes/ideas.txt", "")
    write(root / "exercises/.hidden/rubric.yaml", "title: x\n")
    write(root / "solutions/03-multi-stage-builds/Dockerfile", "FROM scratch\n")
    return root


@pytest.fixture
def course(folder: Path) -> Course:
    return find_course(start=folder)


def test_a_course_is_found_from_anywhere_below_it(folder: Path) -> None:
    for start in (folder, folder / "exercises", folder / "exercises/03-multi-stage-builds/starter/app"):
        course = find_course(start=start)
        assert course.path == folder / "exercises"
        assert course.title == "Images"
        assert course.solutions == folder / "solutions"


def test_exercises_come_in_the_order_of_their_numbers(course: Course) -> None:
    assert [(e.number, e.id, e.slug, e.title) for e in course.exercises] == [
        (1, "01-first-image", "first-image", "Your first image"),
        (3, "03-multi-stage-builds", "multi-stage-builds", "Multi-stage builds"),
        (10, "10-health", "health", "Health: checks"),
    ]
    exercise = course.exercises[1]
    assert exercise.course is course
    assert exercise.rubric_path.is_file()
    assert exercise.starter.is_dir()
    assert exercise.readme == exercise.path / "README.md"


@pytest.mark.parametrize("given", ["", "exercises"])
def test_an_explicit_course_is_the_folder_or_its_parent(folder: Path, given: str) -> None:
    assert find_course(folder / given).path == folder / "exercises"


def test_an_explicit_course_needs_no_course_file(folder: Path) -> None:
    (folder / "exercises/course.yaml").unlink()
    assert find_course(folder).title == "clone"


def test_a_course_file_beside_the_exercises_is_told_where_it_belongs(folder: Path) -> None:
    (folder / "exercises/course.yaml").rename(folder / "course.yaml")
    with pytest.raises(UsageError, match="belongs into it") as caught:
        find_course(folder)
    assert "exercises/course.yaml" in caught.value.fix


@pytest.mark.parametrize("given", ["nowhere", "solutions/03-multi-stage-builds", "exercises/course.yaml"])
def test_an_explicit_course_that_is_none(folder: Path, given: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_course(folder / given)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "course" in caught.value.fix.lower()


def test_elsewhere_the_course_that_came_with_the_grader_is_taken(tmp_path: Path) -> None:
    assert find_course(start=tmp_path).path == CLONE / "exercises"


def test_the_wheel_carries_the_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path.resolve() / "site-packages" / "grader"
    write(package / "exercises/course.yaml", "title: Carried\n")
    monkeypatch.setattr(grader, "__file__", str(package / "__init__.py"))
    course = find_course(start=tmp_path)
    assert (course.title, course.solutions) == ("Carried", None)


def test_without_any_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader, "__file__", str(tmp_path / "site-packages/grader/__init__.py"))
    with pytest.raises(UsageError, match="There is no course here") as caught:
        find_course(start=tmp_path)
    assert "--course" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", ":1:1", "empty"),
        ("titel: Images\n", ":1:1", "title is missing"),
        ("title: Images\norder: [3]\n", ":2:1", "Unknown key `order`"),
        ("title: [Images]\n", ":1:8", "title is missing"),
        ("title: Images: all\n", ":1:14", "colon"),
        ('title: "Images\n', ":1:8", "never closed"),
    ],
)
def test_a_broken_course_file(folder: Path, text: str, place: str, words: str) -> None:
    write(folder / "exercises/course.yaml", text)
    with pytest.raises(RubricError, match=words) as caught:
        find_course(folder)
    assert caught.value.where.endswith(f"course.yaml{place}")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("title: Plain words\n", "Plain words"),
        ("\ufefftitle: With a byte order mark\n", "With a byte order mark"),
        ("title: Before a comment  # this one\n", "Before a comment"),
        ("title: over\n  two lines\n", "over two lines"),
        ('title: "a \\"quote\\""\n', 'a "quote"'),
        ("title: 'it''s'\n", "it's"),
        ("title: >\n  folded\n", "folded"),
        ("title: 3.10\n", "3.10"),
        ("title: 3.10 # a number\n", "3.10"),
        ("checks:\n  - title: not this one\ntitle: this one\n", "this one"),
        ("title: broken: yaml\n", "First image"),
        ("format: 1\n", "First image"),
    ],
)
def test_titles(folder: Path, text: str, title: str) -> None:
    write(folder / "exercises/01-first-image/rubric.yaml", text)
    assert find_course(folder).exercises[0].title.strip() == title


@pytest.mark.parametrize(
    "name", ["3", "03", "003", " 3 ", "multi-stage-builds", "Multi-Stage-Builds", "03-multi-stage-builds"]
)
def test_names(course: Course, name: str) -> None:
    assert resolve(course, name).id == "03-multi-stage-builds"


@pytest.mark.parametrize(
    "path",
    [
        "exercises/03-multi-stage-builds",
        "exercises/03-multi-stage-builds/starter",
        "./exercises/03-multi-stage-builds/starter/app/",
        "solutions/03-multi-stage-builds",
    ],
)
def test_paths(folder: Path, course: Course, path: str) -> None:
    assert resolve(course, path, cwd=folder).id == "03-multi-stage-builds"
    assert resolve(course, str(folder / path)).id == "03-multi-stage-builds"
    assert resolve(course, None, cwd=folder / path).id == "03-multi-stage-builds"


def test_a_name_goes_before_a_folder_of_the_same_name(folder: Path, course: Course) -> None:
    write(folder / "elsewhere/03/.grader.json", '{"exercise": "01-first-image"}')
    assert resolve(course, "03", cwd=folder / "elsewhere").id == "03-multi-stage-builds"


def test_a_path_into_another_course(tmp_path: Path, course: Course) -> None:
    other = write(tmp_path / "other/exercises/07-users/rubric.yaml", "title: Users\n").parent
    (other / "starter").mkdir()
    for path in (other, other / "starter"):
        exercise = resolve(course, str(path))
        assert (exercise.id, exercise.course.path) == ("07-users", other.parent.resolve())


@pytest.mark.parametrize("marker", [".grader.json", ".grader"])
def test_a_marker_says_what_a_learners_folder_is_for(tmp_path: Path, course: Course, marker: str) -> None:
    write(tmp_path / "work" / marker, json.dumps({"exercise": "03-multi-stage-builds"}))
    (tmp_path / "work/app").mkdir()
    assert resolve(course, None, cwd=tmp_path / "work/app").id == "03-multi-stage-builds"
    assert resolve(course, "work", cwd=tmp_path).id == "03-multi-stage-builds"


def test_a_marker_outlives_renumbering(tmp_path: Path, course: Course) -> None:
    write(tmp_path / "work/.grader", json.dumps({"exercise": "77-multi-stage-builds"}))
    assert resolve(course, None, cwd=tmp_path / "work").id == "03-multi-stage-builds"


@pytest.mark.parametrize("named", ["../../etc", "/etc", "exercises/03-multi-stage-builds", "3", ".", "elsewhere/07-x"])
def test_a_marker_is_a_name_and_no_path(tmp_path: Path, course: Course, named: str) -> None:
    write(tmp_path / "work/elsewhere/07-x/rubric.yaml", "title: Not of this course\n")
    write(tmp_path / "work/.grader", json.dumps({"exercise": named}))
    with pytest.raises(UsageError, match="does not say which exercise"):
        resolve(course, None, cwd=tmp_path / "work")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_a_pipe_or_a_huge_file_is_no_marker(tmp_path: Path, course: Course) -> None:
    os.mkfifo(tmp_path / ".grader")
    write(tmp_path / ".grader.json", json.dumps({"exercise": "03-multi-stage-builds", "more": "x" * 100_000}))
    with pytest.raises(UsageError, match="does not say which exercise"):
        resolve(course, None, cwd=tmp_path)


@pytest.mark.parametrize("text", ["", "title: [", "format: 1\n"])
def test_an_exercise_whose_rubric_has_no_title_to_read_is_broken(tmp_path: Path, text: str) -> None:
    write(tmp_path / "exercises/course.yaml", "title: One\n")
    write(tmp_path / "exercises/01-good/rubric.yaml", "title: Good\n")
    write(tmp_path / "exercises/02-bad-one/rubric.yaml", text)
    (tmp_path / "exercises/03-none").mkdir()
    found = find_course(start=tmp_path).exercises
    assert [(each.title, each.broken) for each in found] == [("Good", False), ("Bad one", True), ("None", True)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"exercise": 3}', '{"exercise": "99-gone"}', "\udcff"])
def test_a_marker_that_says_nothing(tmp_path: Path, course: Course, text: str) -> None:
    (tmp_path / ".grader.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="does not say which exercise"):
        resolve(course, None, cwd=tmp_path)


def test_the_only_exercise_needs_no_name(tmp_path: Path) -> None:
    write(tmp_path / "exercises/course.yaml", "title: One\n")
    write(tmp_path / "exercises/only/rubric.yaml", "title: Only\n")
    exercise = resolve(find_course(start=tmp_path), None, cwd=tmp_path)
    assert (exercise.id, exercise.number, exercise.slug) == ("only", None, "only")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mutli-stage-builds", "03-multi-stage-builds"),
        ("stage", "03-multi-stage-builds"),
        ("HEALT", "10-health"),
        ("01-frist-image", "01-first-image"),
    ],
)
def test_did_you_mean(course: Course, name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(course, name)
    assert caught.value.what == f"There is no exercise `{name}`. Did you mean `{meant}`?"
    assert "01-first-image, 03-multi-stage-builds, 10-health" in caught.value.fix


@pytest.mark.parametrize("name", ["99", "", " ", "zzz", "../..", "03\0", "x" * 5000])
def test_unknown(course: Course, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(course, name, cwd=tmp_path)
    assert "01-first-image" in caught.value.fix


def test_ambiguous(folder: Path) -> None:
    write(folder / "exercises/3-other/rubric.yaml", "title: Other\n")
    write(folder / "exercises/04-health/rubric.yaml", "title: Other\n")
    course = find_course(folder)
    with pytest.raises(UsageError, match="`03-multi-stage-builds` or `3-other`"):
        resolve(course, "3")
    with pytest.raises(UsageError, match="`04-health` or `10-health`"):
        resolve(course, "health")
    assert resolve(course, "3-other").id == "3-other"


def test_a_course_without_exercises(tmp_path: Path) -> None:
    write(tmp_path / "exercises/course.yaml", "title: None yet\n")
    with pytest.raises(UsageError, match="no exercises"):
        resolve(find_course(start=tmp_path), "3")


def test_an_exercise_without_rubric_stops_itself_only(folder: Path) -> None:
    (folder / "exercises/01-first-image/rubric.yaml").unlink()
    course = find_course(folder)
    assert resolve(course, "3").title == "Multi-stage builds"
    with pytest.raises(RubricError, match=r"no rubric\.yaml") as caught:
        resolve(course, "1")
    assert caught.value.fault is Fault.AUTHOR
    assert caught.value.where.endswith("rubric.yaml:1:1")


def test_a_list_of_exercises_imports_nothing_heavy() -> None:
    code = (
        "import sys; from grader.course.exercise import find_course; find_course();"
        "sys.exit(bool({'pydantic', 'yaml', 'docker'} & sys.modules.keys()))"
    )
    environment = os.environ | {"PYTHONPATH": str(CLONE)}
    assert subprocess.run([sys.executable, "-c", code], cwd=CLONE, env=environment, check=False).returncode == 0
