"""What must not be in the image?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks._commands import PROGRAMS, by_content, command_names, is_command
from grader.checks._packages import DPKG_STATUS, canonical, debian_package, debian_packages, pip_package, pip_packages
from grader.checks._paths import in_place, is_glob, lexists, path_pattern, through_symlinks
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.engine.content.merge import hidden_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.engine.content.layers import Entry
    from grader.engine.image import Image


@dataclass(frozen=True)
class Find:
    """Something that should not be there: how to name it, the path that gave it away, and the index of its layer.

    ``how`` says what the path alone does not: that the content tells what the file is, or that it is hidden.
    """

    name: str
    path: str
    layer: int
    how: str = ""


class Absent(Check):
    """Commands, paths and packages that must not be in the image, wherever they lie.

    Commands are executables of that name in any directory, also with a version or a target before it
    (`x86_64-linux-gnu-gcc-12` is a `gcc`), and symlinks to one. Compilers, linkers and make, brought by the Dockerfile,
    are recognised by what is in them as well, whatever they are called. Nothing in the image is asked: its files are
    read.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: no-compiler
  check: absent
  commands: [gcc, cc, g++, make, ld]
  paths: [/root/.cache, "/usr/share/doc/**"]
  debian_packages: [build-essential]
  pip_packages: [pytest]
  anywhere: true
  points: 25
"""

    reason: ClassVar[str] = "What the app does not need is pulled by every machine, and is one more thing to attack."
    advice: ClassVar[str] = "Leave it in an earlier stage: only what the last stage fetches from there ships."

    looks_at: ClassVar[str] = (
        "The names of all files in the image, and of its installed packages, read from outside. Compilers are "
        "known by what is in them, under any name. Nothing in the image is asked whether it is there."
    )

    check: Literal["absent"]
    commands: tuple[str, ...] = field(default=(), description="Names of executables.")
    paths: tuple[str, ...] = field(default=(), description="Absolute paths; `*`, `?` and `**` as in a shell.")
    debian_packages: tuple[str, ...] = field(default=(), description="Names of Debian packages.")
    pip_packages: tuple[str, ...] = field(default=(), description="Names of Python packages.")
    anywhere: bool = field(
        default=False,
        description="Also in layers below, where what a later line deleted still ships; not only in the final files.",
    )

    def __post_init__(self) -> None:
        if not (self.commands or self.paths or self.debian_packages or self.pip_packages):
            raise ValueError("absent looks for nothing; give it commands, paths, debian_packages or pip_packages")
        if any(not path.startswith("/") or not path.strip("/") for path in self.paths):
            raise ValueError("paths are absolute and name something; begin each with a slash")
        if any(not name.strip() or "/" in name for name in self.commands):
            raise ValueError("commands are names without a slash; put what lies at one place only under paths")

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Names everything that was found; the line is the one that brought the first."""
        image = subject.image
        finds = list(self._finds(image))
        expected = self.expectation()
        if not finds:
            return passed(expected=expected, got="none of them")
        first = finds[0]
        names = list(dict.fromkeys(find.name for find in finds))
        got = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        origin = " (from the base image)" if first.layer < image.base_count else ""
        return failed(
            expected=expected,
            got=f"{got}, such as /{first.path}{first.how}{origin}",
            line=image.origins[first.layer].line,
            found=[f"/{find.path}{find.how}" for find in finds],
            count=len(finds),
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        wanted = [*self.commands, *self.paths, *self.debian_packages, *self.pip_packages]
        return "no " + ", ".join(wanted) + (", in any layer" if self.anywhere else "")

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The image's own list of files; nothing in it is run."""
        patterns = [rf"(^|/)([^/]+-)?({'|'.join(map(re.escape, self.commands))})(-[0-9.]+)?$"] if self.commands else []
        patterns += [hand.glob_regex(path) for path in self.paths]
        patterns += [f"/{re.escape(name.replace('-', '_'))}-[^/]+-info/" for name in self.pip_packages]
        looks = [hand.listing([pattern]) for pattern in patterns]
        looks += [
            f"{hand.read('/var/lib/dpkg/status')} | grep -x {hand.quoted(f'Package: {name}')}"
            for name in self.debian_packages
        ]
        return hand.files(looks, target=self.target)

    def _finds(self, image: Image) -> Iterator[Find]:
        """Each place once. What is in the final file system comes first, then what is hidden in layers below."""
        seen = set()
        commands = (*self._commands_by_name(image), *self._commands_by_content(image))
        others = (*self._found_paths(image), *self._found_packages(image))
        for find in (*commands, *others, *(self._hidden(image) if self.anywhere else ())):
            place = (find.name, find.path, find.layer)
            if place not in seen:
                yield find
            seen.add(place)

    def _commands_by_name(self, image: Image) -> Iterator[Find]:
        if not self.commands:  # an image has thousands of names to look at
            return
        wanted = command_names(self.commands)
        for path in sorted(path for path in image.files if wanted(path) is not None and is_command(image, path)):
            yield Find(wanted(path) or path, path, image.files[path].layer)

    def _commands_by_content(self, image: Image) -> Iterator[Find]:
        if not any(command in does for does, _ in PROGRAMS.values() for command in self.commands):
            return
        for layer, found in image.programs.items():
            for file, program in sorted(found.items()):
                for path in _names_of(image, layer, file):
                    name = by_content(self.commands, path, program)
                    visible = path in image.files and image.files[path].layer == layer
                    if name is not None and (visible or self.anywhere):
                        how = f", which is {program} by what is in it{_hidden_by(image, path, layer)}"
                        yield Find(name, path, layer, how)

    def _found_paths(self, image: Image) -> Iterator[Find]:
        for wanted in self.paths:
            if is_glob(wanted):
                pattern = re.compile(path_pattern(through_symlinks(image, wanted)))
                found = sorted(path for path in image.files if pattern.fullmatch(path))
            else:
                path = lexists(image, wanted)
                found = [path] if path is not None else []
            yield from (Find(wanted, path, image.files[path].layer) for path in found)

    def _found_packages(self, image: Image) -> Iterator[Find]:
        found: list[tuple[str, str]] = []
        if self.debian_packages:
            yield from _hidden_database(image)
            found += [(n, p) for n, p in debian_packages(image).items() if n in self.debian_packages]
        if self.pip_packages:
            wanted = {canonical(name): name for name in self.pip_packages}
            found += [(wanted[n], p) for n, p in pip_packages(image.files).items() if n in wanted]
        yield from (Find(name, path, image.files[path].layer) for name, path in found)

    def _hidden(self, image: Image) -> Iterator[Find]:
        """By their names; what is hidden cannot be followed through symlinks any more."""
        commands = command_names(self.commands)
        paths = [(wanted, re.compile(path_pattern(in_place(image, wanted)))) for wanted in self.paths]
        pip = {canonical(name): name for name in self.pip_packages}
        for layer, path, entry in _hidden_entries(image):
            name = commands(path) if entry.executable else None
            name = name or next((wanted for wanted, pattern in paths if pattern.fullmatch(path)), None)
            if debian_package(path) in self.debian_packages:
                name = debian_package(path)
            if pip and (package := pip_package(path)):
                name = name or pip.get(package)
            if name is not None:
                yield Find(name, path, layer, _hidden_by(image, path, layer))


def _names_of(image: Image, layer: int, file: str) -> list[str]:
    """All names that a file has in its layer."""
    entries = image.layers[layer].entries
    return [file, *(name for name, entry in entries.items() if entry.kind == "link" and entry.target == file)]


def _hidden_entries(image: Image) -> Iterator[tuple[int, str, Entry]]:
    """Names in layers that the final file system does not show, lowest layer first."""
    for index, layer in enumerate(image.layers):
        for path, entry in sorted(layer.entries.items()):
            found = image.files.get(path)
            if entry.kind != "whiteout" and (found is None or found.layer != index):
                yield index, path, entry


def _hidden_by(image: Image, path: str, layer: int) -> str:
    """In words, which line hides a path of a layer; empty for what is not hidden."""
    by = hidden_by(image.layers, path, layer)
    if by is None:
        return ""
    line = image.origins[by].line
    return f" (hidden by line {line}, but still in a layer)" if line else " (hidden, but still in a layer)"


def _hidden_database(image: Image) -> Iterator[Find]:
    """A package database that a layer brought and a later one deleted: what is installed cannot be told any more."""
    if DPKG_STATUS not in image.files and any(DPKG_STATUS in layer.entries for layer in image.layers):
        last = max(index for index, layer in enumerate(image.layers) if DPKG_STATUS in layer.entries)
        yield Find("the deleted list of Debian packages", DPKG_STATUS, last)
