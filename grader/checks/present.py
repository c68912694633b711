"""What must be in the image, and how?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from grader.checks import _hand as hand
from grader.checks._accounts import GROUPS, USERS, accounts, look_up, named
from grader.checks._paths import lexists
from grader.checks._text import Regex, found, shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.course.units import ByteSize, human_size
from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.checks._accounts import Account
    from grader.checks.subject import Subject
    from grader.engine.content.layers import Entry
    from grader.engine.image import Image

#: Bytes of a file that a regular expression is tried on; what learners' images hold may be made to take for ever.
_SEARCHED = 1_000_000
_KINDS = {"file": "file", "link": "file", "dir": "directory", "symlink": "symlink", "special": "device or pipe"}
_OF_CONTENT = ("text", "matches", "sha256", "same_as", "empty", "min_size", "max_size")


def _absolute(path: str) -> str:
    if not path.startswith("/") or not path.strip("/") or "\0" in path:
        raise ValueError(f"`{path}` is no path in an image; begin it with a slash and name something")
    return path


ImagePath = Annotated[str, Rule(_absolute, more={"pattern": "^/+[^/]"})]


class _Found(NamedTuple):
    """A path of the rubric, where it really lies, what is there."""

    path: str
    real: str
    entry: Entry
    size: int


class _Fault(NamedTuple):
    got: str
    line: int | None


class Present(Check):
    """Paths that must be in the image: what they are, whose they are, what they hold.

    Symlinks are followed inside the image, but where `type: symlink` asks for one. Nothing in the image is asked: its
    files are read.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: app-is-there
  check: present
  path: /app/app.py
  owner: app
  mode: "0644"
  same_as: app.py
  points: 10
"""

    reason: ClassVar[str] = "An app finds what it needs only where it looks for it, and only if it may read it."
    advice: ClassVar[str] = "Look at what COPY copies and where to; `docker run --rm IMAGE ls -la DIRECTORY` shows it."

    looks_at: ClassVar[str] = (
        "What lies at a path of the image: whether it is there, what it is, whose it is, its permissions and its "
        "content, read from outside."
    )

    check: Literal["present"]
    path: ImagePath | None = field(default=None, description="An absolute path.")
    paths: tuple[ImagePath, ...] = field(default=(), description="Several of which all the rest holds.")
    type: Literal["file", "directory", "symlink"] | None = field(default=None, description="What it has to be.")
    mode: str | None = field(
        default=None, pattern=r"^0?[0-7]{3,4}$", description='Its permissions, octal and in quotes: "0755".'
    )
    executable: bool | None = field(default=None, description="Whether anybody may execute it.")
    owner: int | str | None = field(default=None, description="A user's name or number.")
    group: int | str | None = field(default=None, description="A group's name or number.")
    text: str | None = field(default=None, min_length=1, description="A text that the file must contain.")
    matches: Regex | None = field(default=None, description="A regular expression that must be found in the file.")
    sha256: str | None = field(default=None, pattern=r"^[0-9a-f]{64}$", description="The digest of its content.")
    same_as: str | None = field(
        default=None, min_length=1, description="A file of the exercise's starter, byte for byte."
    )
    empty: bool | None = field(default=None, description="Whether the file or the directory is empty.")
    min_size: ByteSize | None = field(default=None, description="What the file has to weigh at least.")
    max_size: ByteSize | None = field(default=None, description="What the file may weigh at most.")

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.paths):
            raise ValueError("present looks for nothing; give it path or paths, one of the two")
        asked = [name for name in _OF_CONTENT if getattr(self, name) is not None]
        if self.type == "symlink" and (asked or self.mode is not None or self.executable is not None):
            raise ValueError("type is symlink, whose target is not looked at; drop what is asked of it")
        if self.type == "directory" and set(asked) - {"empty"}:
            raise ValueError(f"{asked[0]} is asked of a directory; ask it of a file")
        if self.min_size is not None and self.max_size is not None and self.max_size < self.min_size:
            raise ValueError("max_size is less than min_size; make it more")
        if self.same_as is not None and (self.same_as.startswith("/") or ".." in self.same_as.split("/")):
            raise ValueError("same_as leaves the starter; name a file in it, such as app.py")

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Names everything that is not as it should be, path by path; the line is the first one's."""
        image, wanted = subject.image, (self.path,) if self.path else self.paths
        there = {path: _find(image, path, follow=self.type != "symlink") for path in wanted}
        contents = self._read(image, [one for one in there.values() if one is not None])
        faults = [fault for path in wanted for fault in self._faults_at(subject, path, there[path], contents)]
        told = {path: _told(image, one) for path, one in there.items() if one is not None}
        if not faults:
            return passed(expected=self.expectation(), got=_summary(told), found=told)
        words = [fault.got for fault in faults]
        got = "; ".join(words[:5]) + (f"; and {len(words) - 5} more" if len(words) > 5 else "")
        line = next((fault.line for fault in faults if fault.line is not None), None)
        return failed(expected=self.expectation(), got=got, line=line, faults=words, found=told)

    def expectation(self) -> str:
        """What is expected, in words."""
        asked = {
            "": self.type or "",
            "mode": self.mode,
            "owner": self.owner,
            "group": self.group,
            "containing": f"“{self.text}”" if self.text else None,
            "matching": self.matches,
            "sha256": self.sha256,
            "the same as": self.same_as,
            "at least": None if self.min_size is None else human_size(self.min_size),
            "at most": None if self.max_size is None else human_size(self.max_size),
        }
        words = [f"{name} {value}".strip() for name, value in asked.items() if value not in (None, "")]
        for name in ("executable", "empty"):
            value = getattr(self, name)
            words += [] if value is None else [name if value else f"not {name}"]
        return ", ".join([self.path or " and ".join(self.paths), *words])

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """Mode, owner and size of each path, and its content where that is asked for."""
        looks = []
        for path in (self.path, *self.paths):
            if path is None:
                continue
            # A glob names no single file to copy.
            if any(sign in path for sign in "*?["):
                looks.append(hand.listing([hand.glob_regex(path)]))
                continue
            looks.append(f"docker cp {hand.FILES}:{hand.quoted(path)} - | tar -tvf -")
            if self.same_as is not None:
                looks.append(f"{hand.read(path)} | cmp - {hand.quoted(self.same_as)}")
            elif self.sha256 is not None:
                looks.append(f"{hand.read(path)} | sha256sum")
            elif self.text is not None or self.matches is not None:
                looks.append(hand.read(path))
        return hand.files(looks, target=self.target)

    def _read(self, image: Image, there: list[_Found]) -> Mapping[str, bytes]:
        """All content that is needed, at once: each reading takes a container."""
        paths = [one.real for one in there if one.entry.kind in ("file", "link")] if self._wants_content() else []
        paths += [USERS] if self.owner is not None else []
        paths += [GROUPS] if self.group is not None else []
        return image.read(paths) if paths else {}

    def _wants_content(self) -> bool:
        return bool(self.text or self.matches or self.sha256 or self.same_as)

    def _faults_at(
        self, subject: Subject, path: str, there: _Found | None, contents: Mapping[str, bytes]
    ) -> Iterator[_Fault]:
        image = subject.image
        if there is None and (own := lexists(image, path)):
            yield _Fault(
                f"{path} is a symlink to {image.files[own].entry.target}, where nothing is", image.line_of(own)
            )
            return
        if there is None:
            elsewhere = _elsewhere(image, path)
            at = f", but at /{elsewhere}" if elsewhere else ""
            yield _Fault(f"nothing at {path}{at}", image.line_of(elsewhere) if elsewhere else None)
            return
        kind = _KINDS[there.entry.kind]
        if self.type is not None and kind != self.type:
            faults: Iterable[str] = [f"is a {kind}, not a {self.type}"]
        else:
            faults = [*self._inode_faults(there, contents), *self._inner_faults(subject, there, contents)]
        yield from (_Fault(f"{path} {fault}", image.line_of(there.real)) for fault in faults)

    def _inode_faults(self, there: _Found, contents: Mapping[str, bytes]) -> Iterator[str]:
        entry = there.entry
        if self.mode is not None and entry.mode & 0o7777 != int(self.mode, 8):
            yield f"has mode {_mode(entry)}"
        if self.executable is not None and bool(entry.mode & 0o111) is not self.executable:
            yield f"has mode {_mode(entry)}, so {'nobody' if self.executable else 'somebody'} may execute it"
        yield from _ownership("user", self.owner, entry.uid, accounts(contents.get(USERS, b"")))
        yield from _ownership("group", self.group, entry.gid, accounts(contents.get(GROUPS, b"")))

    def _inner_faults(self, subject: Subject, there: _Found, contents: Mapping[str, bytes]) -> Iterator[str]:
        kind = _KINDS[there.entry.kind]
        asked = [name for name in _OF_CONTENT if getattr(self, name) is not None]
        if kind == "file":
            yield from self._size_faults(there.size)
            if self._wants_content():
                yield from self._text_faults(contents[there.real])
                yield from self._copy_faults(subject, contents[there.real])
        elif kind == "directory" and asked == ["empty"]:
            yield from self._directory_faults(subject.image, there)
        elif asked:
            yield f"is a {kind}, not a file"

    def _directory_faults(self, image: Image, there: _Found) -> Iterator[str]:
        inside = next((path for path in image.files if path.startswith(f"{there.real}/")), None)
        if (inside is None) is not self.empty:
            yield "is empty" if inside is None else f"holds {inside.removeprefix(f'{there.real}/')}"

    def _size_faults(self, size: int) -> Iterator[str]:
        if self.empty is not None and (size == 0) is not self.empty:
            yield f"has {human_size(size)}" if size else "is empty"
        if self.min_size is not None and size < self.min_size:
            yield f"has {human_size(size, unlike=self.min_size)}"
        if self.max_size is not None and size > self.max_size:
            yield f"has {human_size(size, unlike=self.max_size)}"

    def _text_faults(self, content: bytes) -> Iterator[str]:
        if self.text and self.text.encode() not in content:
            yield f"does not contain that text: {shown(content[:4096].decode(errors='replace'))}"
        if self.matches and len(content) > _SEARCHED:
            yield f"has {human_size(len(content))}; only {human_size(_SEARCHED)} are searched"
        elif self.matches and not found(self.matches, content.decode(errors="replace")):
            yield f"has no such match: {shown(content[:4096].decode(errors='replace'))}"

    def _copy_faults(self, subject: Subject, content: bytes) -> Iterator[str]:
        digest = hashlib.sha256(content).hexdigest()
        if self.sha256 and digest != self.sha256:
            yield f"has the digest {digest}"
        if self.same_as:
            wanted = _of_starter(subject, self.same_as)
            if content != wanted:
                yield f"differs from {self.same_as}, {_difference(content, wanted)}"


def _find(image: Image, path: str, *, follow: bool) -> _Found | None:
    """What is at ``path``; its own symlink is followed when that is wanted, those of its folders are always."""
    real: str | None = image.resolve(path)
    if not follow:
        folder, _, name = path.strip("/").rpartition("/")
        above = image.resolve(folder)
        real = None if above is None else f"{above}/{name}".lstrip("/")
    if real is None or real not in image.files:
        return None
    file = image.files[real]
    entry = file.entry
    content = image.layers[file.layer].entries.get(entry.target, entry) if entry.kind == "link" else entry
    return _Found(path, real, entry, content.size)


def _elsewhere(image: Image, path: str) -> str | None:
    """A file of the learner's with that name in another folder."""
    name = path.rstrip("/").rpartition("/")[2]
    named_so = (real for real in image.files if real.rpartition("/")[2] == name and not image.from_base(real))
    return min(named_so, default=None)


def _ownership(what: str, wanted: int | str | None, number: int, known: tuple[Account, ...]) -> Iterator[str]:
    if wanted is None:
        return
    account = look_up(known, str(wanted))
    if account is None:
        yield f"belongs to {what} {named(known, number)}; the image has no {what} {wanted}"
    elif account.number != number:
        yield f"belongs to {what} {named(known, number)}"


def _of_starter(subject: Subject, name: str) -> bytes:
    try:
        return (subject.starter / name).read_bytes()
    except OSError as error:
        raise RubricError(
            f"The exercise's starter has no {name}, which an image is to hold", "Add it, or mend `same_as`."
        ) from error


def _difference(content: bytes, wanted: bytes) -> str:
    """Where two contents begin to differ, in words; lines are counted from 1."""
    if content.replace(b"\r\n", b"\n") == wanted.replace(b"\r\n", b"\n"):
        return "if only in its line ends"
    ours, theirs = content.split(b"\n"), wanted.split(b"\n")
    same = next((index for index, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
    return f"first in line {(min(len(ours), len(theirs)) if same is None else same) + 1}"


def _told(image: Image, there: _Found) -> dict[str, Any]:
    entry = there.entry
    return {
        "path": f"/{there.real}",
        "type": _KINDS[entry.kind],
        "mode": _mode(entry),
        "uid": entry.uid,
        "gid": entry.gid,
        "size": there.size,
        "line": image.line_of(there.real),
    }


def _mode(entry: Entry) -> str:
    return f"{entry.mode & 0o7777:04o}"


def _summary(details: dict[str, Any]) -> str:
    told = [f"{path}: {one['type']}, mode {one['mode']}, {human_size(one['size'])}" for path, one in details.items()]
    return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")
