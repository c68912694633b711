"""A file that a step asks for and that is not there: which one, where it was looked for, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from grader.course.suggest import closest, listed
from grader.submission.stages import mounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile
    from grader.submission.instructions import Instruction

#: How many names a message lists.
_NAMES = 5
# As Engine 20.10, Engine 28 and Podman 4.3 say it, once their own folders are taken out of it.
_SIGNS = (
    re.compile(r'"(?P<path>/[^"]*)":? not found'),
    re.compile(r'copier: stat: \[?"(?P<path>[^"]*)"\]?: no such file or directory'),
    re.compile(r"(?:^|: )(?:l?stat|open|failed to walk) (?P<path>/[^\s:]+): no such file or directory"),
)


@dataclass(frozen=True)
class Missing:
    """What is missing and what to do, in words."""

    what: str
    fix: str


def explain(error: str, line: int | None, dockerfile: Dockerfile | None, context: Context | None) -> Missing | None:
    """What ``error`` says is missing, by the instruction in ``line``; None when it says nothing of the kind."""
    match = next((match for sign in _SIGNS if (match := sign.search(error))), None)
    asking = _instruction(dockerfile, line)
    if match is None or asking is None or dockerfile is None:
        return None
    path = match["path"].strip("/")
    for source, origin in _sources(asking):
        inside = _inside(source)
        if fnmatchcase(path, inside) or inside.startswith(f"{path}/") or path == inside:
            if origin:
                return _not_in(f"/{inside}", origin, asking, dockerfile)
            return _not_in_context(source, context, asking)
    return None


def _instruction(dockerfile: Dockerfile | None, line: int | None) -> Instruction | None:
    every = (each for stage in (dockerfile.stages if dockerfile else ()) for each in stage.instructions)
    found = next((each for each in every if each.line == line), None)
    return found and (found.trigger or found)


def _sources(asking: Instruction) -> list[tuple[str, str]]:
    """The paths that an instruction takes, each with the stage or image that it takes it from ("" for the context)."""
    if asking.keyword in ("COPY", "ADD"):
        origin = next(iter(asking.flag_values("from")), "")
        return [(source, origin) for source in asking.args[:-1]]
    found = [mount for mount in mounts(asking) if mount.type == "bind"]
    return [(mount.options.get("source") or mount.options.get("src") or "", mount.source) for mount in found]


def _inside(source: str) -> str:
    """A path as the engines look for it: from the root of the context or the stage, with no way out of it."""
    parts: list[str] = []
    for part in PurePosixPath(source).parts:
        if part == "..":
            del parts[-1:]
        elif part not in ("/", "//", "."):
            parts.append(part)
    return "/".join(parts)


def _not_in(path: str, origin: str, asking: Instruction, dockerfile: Dockerfile) -> Missing:
    copy = next(iter(dockerfile.copies_of(asking)), None)
    kind = "stage" if copy and copy.stage is not None else "image"
    return Missing(
        f"`{path}` is not in the {kind} `{origin}`",
        f"Mend line {asking.line} of the Dockerfile, or let the stage `{origin}` make it."
        if kind == "stage"
        else f"Mend line {asking.line} of the Dockerfile.",
    )


def _not_in_context(source: str, context: Context | None, asking: Instruction) -> Missing:
    what = f"`{source}` is not in the build context"
    path = _inside(source)
    if ".." in PurePosixPath(source).parts:
        what = f"`{source}` lies outside of the build context, or is not there"
        return Missing(what, "Only what lies beside the Dockerfile can be copied; name it from there.")
    if context is None:
        return Missing(what, f"Mend line {asking.line} of the Dockerfile.")
    if left_out := next((one for one in context.ignored if _is_at(one, path)), None):
        line = context.ignored_by(left_out)
        where = f"line {line} of `{context.ignore_file}`" if line else f"`{context.ignore_file}`"
        return Missing(f"{what}: {where} leaves it out", f"Mend {where}, or do not copy `{source}`.")
    return Missing(what, f"Mend line {asking.line} of the Dockerfile: {_hint(path, context.files)}")


def _is_at(file: str, path: str) -> bool:
    """Whether ``path`` names a file, or a folder that it is in; patterns count."""
    return any(fnmatchcase(str(one), path) for one in (PurePosixPath(file), *PurePosixPath(file).parents))


def _hint(path: str, files: Sequence[str]) -> str:
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents} - {"."}
    same_name = [file for file in files if PurePosixPath(file).name == PurePosixPath(path).name]
    if meant := next(iter(same_name), None) or closest(path, [*files, *sorted(folders)]):
        return f"did you mean `{meant}`?"
    if not files:
        return "the build context is empty."
    more = " and more" if len(files) > _NAMES else ""
    return f"the build context has {listed(files[:_NAMES])}{more}."
