"""What must not be in the image?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from grader.checks.base import Check, Outcome, failed, passed

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.engine.image import Image

_DPKG_STATUS = "var/lib/dpkg/status"
#: Distroless images keep one file a package here.
_DPKG_FOLDER = "var/lib/dpkg/status.d/"
_INSTALLED = re.compile(r"^Package: (\S+)\n(?:.*\n)*?Status: \S+ \S+ installed$", re.MULTILINE)
_METADATA = re.compile(r"(?:^|/)([^/]+?)-[^/-]+(?:-py[\d.]+)?\.(?:dist|egg)-info(?:/(?:METADATA|PKG-INFO))?$")


@dataclass(frozen=True)
class Find:
    """Something that should not be there: how to name it, and the path that gave it away."""

    name: str
    path: str


class Absent(Check):
    """Commands, paths and packages that must not be in the image, wherever they lie.

    Commands are executables of that name in any directory, also with a version or a target before it
    (`x86_64-linux-gnu-gcc-12` is a `gcc`), and symlinks to one. Nothing in the image is asked: its files are read.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: no-compiler
  check: absent
  commands: [gcc, cc, g++, make, ld]
  paths: [/root/.cache, "/usr/share/doc/**"]
  debian_packages: [build-essential]
  pip_packages: [pytest]
  points: 25
"""

    check: Literal["absent"]
    commands: tuple[str, ...] = Field(default=(), description="Names of executables.")
    paths: tuple[str, ...] = Field(default=(), description="Absolute paths; `*`, `?` and `**` as in a shell.")
    debian_packages: tuple[str, ...] = Field(default=(), description="Names of Debian packages.")
    pip_packages: tuple[str, ...] = Field(default=(), description="Names of Python packages.")

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if not (self.commands or self.paths or self.debian_packages or self.pip_packages):
            raise ValueError("absent looks for nothing; give it commands, paths, debian_packages or pip_packages")
        if any(not path.startswith("/") for path in self.paths):
            raise ValueError("paths are absolute; begin each with a slash")
        return self

    def run(self, subject: Subject) -> Outcome:
        """Names everything that was found; the line is the first one's."""
        image = subject.image
        finds = [*self._found_commands(image), *self._found_paths(image), *self._found_packages(image)]
        expected = self.expectation()
        if not finds:
            return passed(expected=expected, got="none of them")
        first = finds[0]
        names = list(dict.fromkeys(find.name for find in finds))
        got = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        origin = " (from the base image)" if image.from_base(first.path) else ""
        return failed(
            expected=expected,
            got=f"{got}, such as /{first.path}{origin}",
            line=image.line_of(first.path),
            found=[f"/{find.path}" for find in finds[:200]],
            count=len(finds),
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        wanted = [*self.commands, *self.paths, *self.debian_packages, *self.pip_packages]
        return "no " + ", ".join(wanted)

    def _found_commands(self, image: Image) -> Iterator[Find]:
        if not self.commands:
            return
        patterns = [(name, command_pattern(name)) for name in self.commands]
        anything = re.compile("|".join(f"(?:{pattern.pattern})" for _, pattern in patterns))
        for path in sorted(image.files):
            last = path.rpartition("/")[2]
            if anything.fullmatch(last) and is_command(image, path):
                name = next(name for name, pattern in patterns if pattern.fullmatch(last))
                yield Find(name, path)

    def _found_paths(self, image: Image) -> Iterator[Find]:
        for wanted in self.paths:
            if any(sign in wanted for sign in "*?["):
                pattern = re.compile(path_pattern(wanted.strip("/")))
                yield from (Find(wanted, path) for path in sorted(image.files) if pattern.fullmatch(path))
            elif (found := _lexists(image, wanted)) is not None:
                yield Find(wanted, found)

    def _found_packages(self, image: Image) -> Iterator[Find]:
        if self.debian_packages:
            yield from (Find(n, p) for n, p in debian_packages(image).items() if n in self.debian_packages)
        if self.pip_packages:
            wanted = {canonical(name): name for name in self.pip_packages}
            yield from (Find(wanted[n], p) for n, p in pip_packages(image).items() if n in wanted)


def command_pattern(name: str) -> re.Pattern[str]:
    """`gcc` also as `gcc-12`, `gcc12` and `x86_64-linux-gnu-gcc-12`; but not `ld.so` as `ld`."""
    return re.compile(rf"(?:[a-z0-9_]+-)*{re.escape(name)}(?:-?\d+(?:\.\d+)*)?")


def is_command(image: Image, path: str) -> bool:
    """Whether ``path`` is an executable file, or a symlink that leads to one."""
    real = image.resolve(path)
    return real is not None and real in image.files and image.files[real].entry.executable


def path_pattern(glob: str) -> str:
    """A regular expression for a glob in which `*` stays inside a directory and `**` does not."""
    parts = []
    for part in glob.split("/"):
        parts.append(r".*" if part == "**" else translate(part).removesuffix(r"\Z").replace(".*", "[^/]*"))
    return "/".join(parts).replace("/.*/", "/(?:.*/)?")


def _lexists(image: Image, path: str) -> str | None:
    """The name of ``path`` in the image: its folder's symlinks followed, its own not."""
    folder, _, last = path.strip("/").rpartition("/")
    real = image.resolve(folder) if folder else ""
    if real is None:
        return None
    found = f"{real}/{last}".lstrip("/")
    return found if found in image.files else None


def debian_packages(image: Image) -> dict[str, str]:
    """Installed Debian packages -> the file that says so."""
    separate = [path for path in image.files if path.startswith(_DPKG_FOLDER) and not path.endswith(".md5sums")]
    contents = image.read([_DPKG_STATUS, *separate])
    found: dict[str, str] = {}
    for path, content in contents.items():
        text = content.decode(errors="replace")
        if path == _DPKG_STATUS:
            found |= {
                match[1]: path
                for paragraph in text.split("\n\n")
                if (match := _INSTALLED.search(paragraph)) is not None
            }
        elif match := re.search(r"^Package: (\S+)$", text, re.MULTILINE):
            found[match[1]] = path
    return found


def pip_packages(image: Image) -> dict[str, str]:
    """Python packages, by canonical name -> the metadata folder or file that gives them away."""
    return {canonical(match[1]): path for path in sorted(image.files) if (match := _METADATA.search(path))}


def canonical(name: str) -> str:
    """A Python package's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()
