"""What must not be in the image?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from grader.checks.base import Check, Outcome, failed, passed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.engine.image import Image

_DPKG_STATUS = "var/lib/dpkg/status"
_DPKG_LISTS = "var/lib/dpkg/info/"
#: Distroless images keep one file a package here.
_DPKG_FOLDER = "var/lib/dpkg/status.d/"
#: States in which a package's files are not there (dpkg(1), "Package states").
_NOT_THERE = {"not-installed", "config-files"}
#: `name-1.0.dist-info/`, `name-1.0-py3.11.egg-info`, and `name.egg-info/` of editable installs.
_METADATA = re.compile(r"(?:^|/)([^/]+?)(?:-[^/-]+(?:-py[\d.]+)?\.(?:dist|egg)-info|\.egg-info)$")


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

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: no-compiler
  check: absent
  commands: [gcc, cc, g++, make, ld]
  paths: [/root/.cache, "/usr/share/doc/**"]
  debian_packages: [build-essential]
  pip_packages: [pytest]
  points: 25
"""

    reason: ClassVar[str] = "What the app does not need is pulled by every machine, and is one more thing to attack."
    advice: ClassVar[str] = "Leave it in an earlier stage: only what the last stage fetches from there ships."

    check: Literal["absent"]
    commands: tuple[str, ...] = Field(default=(), description="Names of executables.")
    paths: tuple[str, ...] = Field(default=(), description="Absolute paths; `*`, `?` and `**` as in a shell.")
    debian_packages: tuple[str, ...] = Field(default=(), description="Names of Debian packages.")
    pip_packages: tuple[str, ...] = Field(default=(), description="Names of Python packages.")

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        if not (self.commands or self.paths or self.debian_packages or self.pip_packages):
            raise ValueError("absent looks for nothing; give it commands, paths, debian_packages or pip_packages")
        if any(not path.startswith("/") or not path.strip("/") for path in self.paths):
            raise ValueError("paths are absolute and name something; begin each with a slash")
        if any(not name.strip() or "/" in name for name in self.commands):
            raise ValueError("commands are names without a slash; put what lies at one place only under paths")
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
            found=[f"/{find.path}" for find in finds],
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
                pattern = re.compile(path_pattern(_through_symlinks(image, wanted)))
                yield from (Find(wanted, path) for path in sorted(image.files) if pattern.fullmatch(path))
            elif (found := _lexists(image, wanted)) is not None:
                yield Find(wanted, found)

    def _found_packages(self, image: Image) -> Iterator[Find]:
        if self.debian_packages:
            yield from _hidden_database(image)
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
    """A regular expression for a glob of a shell: `*`, `?` and `[...]` stay inside a directory, `**` does not."""
    parts = glob.strip("/").split("/")
    written = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            written += ".+" if last else "(?:.*/)?"
        else:
            written += "".join(map(_sign, re.findall(r"\[[!^]?\]?[^\]]*\]|.", part))) + ("" if last else "/")
    return f"(?s:{written})"


def _sign(sign: str) -> str:
    if sign == "*":
        return "[^/]*"
    if sign == "?":
        return "[^/]"
    if len(sign) > 1:
        inside = sign[1:-1].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&").replace("~", r"\~")
        negated = inside[0] in "!^"
        characters = inside[1:] if negated else inside
        characters = characters.replace("]", r"\]")
        return f"[^/{characters}]" if negated else f"(?!/)[{characters}]"
    return re.escape(sign)


def _through_symlinks(image: Image, glob: str) -> str:
    """``glob`` with the folders before its first sign where they really lie: `/bin/*` means `/usr/bin/*` on Debian."""
    parts = glob.strip("/").split("/")
    plain = next(index for index, part in enumerate(parts) if any(sign in part for sign in "*?["))
    folder = "/".join(parts[:plain])
    real = image.resolve(folder) if folder else ""
    # The folder's own name is no glob, whatever characters are in it.
    quoted = re.sub(r"([*?[])", r"[\1]", real if real is not None else folder)
    return "/".join([*([quoted] if quoted else []), *parts[plain:]])


def _lexists(image: Image, path: str) -> str | None:
    """The name of ``path`` in the image: its folder's symlinks followed, its own not."""
    folder, _, last = path.strip("/").rpartition("/")
    real = image.resolve(folder) if folder else ""
    if real is None:
        return None
    found = f"{real}/{last}".lstrip("/")
    return found if found in image.files else None


def debian_packages(image: Image) -> dict[str, str]:
    """Installed Debian packages -> a file that came with them, else the one that says that they are installed."""
    separate = [path for path in image.files if path.startswith(_DPKG_FOLDER) and not path.endswith(".md5sums")]
    found: dict[str, str] = {}
    for path, content in image.read([_DPKG_STATUS, *separate]).items():
        for paragraph in content.decode(errors="replace").split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"(Package|Status): ", line)
            )
            # In distroless images there is no status: what has a file is there.
            state = fields.get("Status", "installed").split()
            if "Package" in fields and state and state[-1] not in _NOT_THERE:
                found[fields["Package"].strip()] = path
    lists = {_package_of(path): path for path in image.files if path.startswith(_DPKG_LISTS) and path.endswith(".list")}
    return {name: lists.get(name, path) for name, path in found.items()}


def _package_of(path: str) -> str:
    """`var/lib/dpkg/info/libc6:amd64.list` -> `libc6`."""
    return path.removeprefix(_DPKG_LISTS).removesuffix(".list").partition(":")[0]


def _hidden_database(image: Image) -> Iterator[Find]:
    """A package database that a layer brought and a later one deleted: what is installed cannot be told any more."""
    if _DPKG_STATUS not in image.files and any(_DPKG_STATUS in layer.entries for layer in image.layers):
        yield Find("the deleted list of Debian packages", _DPKG_STATUS)


def pip_packages(image: Image) -> dict[str, str]:
    """Python packages, by canonical name -> the metadata folder or file that gives them away."""
    return {canonical(match[1]): path for path in sorted(image.files) if (match := _METADATA.search(path))}


def canonical(name: str) -> str:
    """A Python package's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()
