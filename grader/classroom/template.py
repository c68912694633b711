"""Writes the repository that learners get: starter, task, workflow, codespace. Nothing is ever overwritten."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.classroom.pinned import ACTIONS
from grader.course.suggest import listed
from grader.errors import UsageError
from grader.submission.files import LITTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.course.exercise import Exercise

TEMPLATES = Path(__file__).parent / "templates"
WORKFLOW = ".github/workflows/grade.yml"
#: What Classroom 50 itself puts into each learner's repository.
WORKFLOW_50 = "autograde.yaml"


@dataclass(frozen=True)
class Asked:
    """What is to be written. ``course`` and ``grader`` are held to a commit or a version; see `classroom.pinned`.

    ``agreed`` lets the classroom's machines use stand-ins for base images. ``submit`` are the files that a learner
    changes.
    """

    exercise: Exercise
    title: str
    submit: tuple[str, ...]
    course: str
    grader: str
    agreed: bool = False


def files(asked: Asked, platform: str) -> dict[str, str | Path]:
    """What is written, by its path below the folder: texts, and files to copy."""
    exercise = asked.exercise
    begun: dict[str, str | Path] = {
        path.relative_to(exercise.starter).as_posix(): path
        for path in sorted(exercise.starter.rglob("*"))
        if path.is_file() and not LITTER.intersection(path.relative_to(exercise.starter).parts)
    }
    values = _values(asked)
    badge = "grade.yml" if platform == "github" else WORKFLOW_50
    own: dict[str, str | Path] = {
        "README.md": _rendered("README.md.j2", values | {"badge": badge}),
        ".devcontainer/devcontainer.json": _rendered("devcontainer.json.j2", values),
        # Which exercise `grade` means in this folder.
        ".grader.json": json.dumps({"exercise": exercise.id}) + "\n",
    }
    if platform == "github":
        own[WORKFLOW] = _rendered("github/grade.yml.j2", values)
    both = begun.keys() & own.keys()
    if both:
        raise UsageError(
            f"The starter has a file that the repository needs for itself: {', '.join(sorted(both))}",
            "Rename it in the exercise.",
            where=str(exercise.starter),
        )
    if platform == "github":
        return begun | own
    inner = {f"repository/{name}": content for name, content in (begun | own).items()}
    return inner | {"autograder/autograder.py": _rendered("classroom50/autograder.py.j2", values)}


def write(content: Mapping[str, str | Path], folder: Path) -> None:
    """Writes all or, when something is in the way, nothing. Raises UsageError then."""
    in_the_way = [name for name in _paths(content) if (folder / name).exists() or (folder / name).is_symlink()]
    if in_the_way:
        raise UsageError(
            f"There is something already: {', '.join(in_the_way[:5])}{' and more' if len(in_the_way) > 5 else ''}",
            "Name a folder that is new or empty.",
            where=str(folder),
        )
    try:
        for name, what in content.items():
            _write(folder / name, what)
    except OSError as error:
        raise UsageError(
            f"The repository cannot be written: {error.strerror}", "Name another folder.", where=str(folder)
        ) from error


def _paths(content: Mapping[str, str | Path]) -> Iterator[str]:
    """Each file, and each folder that is made for one; that of the whole may be there."""
    yield from content
    yield from sorted({Path(name).parts[0] for name in content if len(Path(name).parts) > 1})


def _write(path: Path, what: str | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = what.encode() if isinstance(what, str) else what.read_bytes()
    with path.open("xb") as out:
        out.write(data)
    if isinstance(what, Path) and what.stat().st_mode & 0o100:
        path.chmod(0o755)


def _values(asked: Asked) -> dict[str, Any]:
    for name, text in (("course", asked.course), ("grader", asked.grader)):
        if "${{" in text or not text.isprintable():
            raise UsageError(f"The address of the {name} cannot stand in a workflow", "Name another.", where=text)
    exercise = asked.exercise
    options = ["--yes"] if asked.agreed else []
    fetch = shlex.join(["grader", "bases", exercise.id, "--course", asked.course, *options])
    return {
        "exercise": exercise.id,
        "title": asked.title,
        "task": exercise.readme.read_text(encoding="utf-8") if exercise.readme.is_file() else f"# {asked.title}\n",
        "submit": listed(asked.submit),
        "course": asked.course,
        "grader": asked.grader,
        "agreed": " --yes" if asked.agreed else "",
        "options": options,
        # A codespace opens whether or not this works; the next grading would get them.
        "fetch": f'PATH="$HOME/.local/bin:$PATH" {fetch} || true',
        "actions": ACTIONS,
    }


def _rendered(name: str, values: Mapping[str, Any]) -> str:
    """A template with its values; those of YAML and of `${{ }}` are left alone by marks of another kind."""
    import jinja2  # noqa: PLC0415  # only this command has need of it

    environment = jinja2.Environment(  # noqa: S701  # no HTML is made; what YAML, JSON and a shell need, the filters do
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        variable_start_string="<<", variable_end_string=">>", block_start_string="<%", block_end_string="%>",
        comment_start_string="<#", comment_end_string="#>",
    )  # fmt: skip
    # A JSON string is a YAML string as well.
    environment.filters.update(
        quoted=lambda value: json.dumps(value, ensure_ascii=False), python=repr, shell=shlex.quote
    )
    return environment.get_template(name).render(values)
