"""Where a course may be: a folder, an archive, or a git repository, as a person writes it after `--course`.

    exercises/                                   a folder
    course.tar.gz   course.zip                   an archive on this machine
    https://host/course.zip#sha256=<64 digits>   an archive at an address, held to a digest
    https://host/owner/repository@<commit>       a git repository; git+https, ssh, file and git@host:path as well

`#subdirectory=PATH` names a folder in a repository or an archive; several of these are joined by `&`, as pip does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageError
from grader.redacted import redacted

ARCHIVES = (".zip", ".tar.gz", ".tgz")

_SCHEME = re.compile(r"(?P<git>git\+)?(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# `git@host:owner/repository`, which ssh and git understand; two letters at least, so that C:\course is none.
_SHORT_SSH = re.compile(r"(?P<host>[\w.-]+@[\w.-]{2,}):(?P<path>[^\\].*)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_FORMS = "Write a folder, an archive (.zip, .tar.gz) or a git repository, like https://host/owner/repository@COMMIT."


@dataclass(frozen=True)
class Address:
    """A course that is somewhere else.

    ``url`` is an address or, for an archive, a path on this machine. ``ref`` is a commit, branch or tag of a repository
    (empty: its default branch), ``sha256`` the digest that an archive is held to (empty: any).
    """

    kind: str  # "git" or "archive"
    url: str
    ref: str = ""
    sha256: str = ""
    subdirectory: str = ""

    @property
    def pinned(self) -> bool:
        """Whether it will be the same whenever it is read."""
        return bool(_COMMIT.fullmatch(self.ref)) if self.kind == "git" else bool(self.sha256)

    @property
    def remote(self) -> bool:
        """Whether another machine can be told this address."""
        return "://" in self.url or bool(_SHORT_SSH.fullmatch(self.url))

    @property
    def name(self) -> str:
        """A short name: that of the repository or the archive."""
        last = re.split(r"[/\\:]", self.url.partition("?")[0].rstrip("/"))[-1]
        for ending in (*ARCHIVES, ".git"):
            last = last.removesuffix(ending)
        return re.sub(r"[^A-Za-z0-9._-]", "-", last).strip(".") or "course"

    def __str__(self) -> str:
        """As it would be typed, but without a password or a token: it is for somebody to read."""
        return redacted(self.typed)

    @property
    def typed(self) -> str:
        """As it would be typed; `parse` makes the same of it."""
        marks = [f"sha256={self.sha256}"] if self.sha256 else []
        marks += [f"subdirectory={self.subdirectory}"] if self.subdirectory else []
        prefix = "git+" if self.kind == "git" and "://" in self.url else ""
        return prefix + self.url + (f"@{self.ref}" if self.ref else "") + ("#" + "&".join(marks) if marks else "")


def parse(text: str) -> Address | None:
    """The address that ``text`` is; None when it is a folder. Raises UsageError for one that cannot be meant."""
    if (match := _SCHEME.fullmatch(text)) is not None:
        return _at_address(text, match)
    if not Path(text).exists() and (match := _SHORT_SSH.fullmatch(text)) is not None:
        body, marks = _marks(text, match["path"])
        path, _, ref = body.partition("@")
        return Address("git", f"{match['host']}:{path}", _ref(text, ref), subdirectory=_inner(text, marks))
    if text.lower().endswith(ARCHIVES) and not Path(text).is_dir():
        return Address("archive", text)
    return None


def _at_address(text: str, match: re.Match[str]) -> Address:
    scheme = match["scheme"].lower()
    if scheme not in ("https", "http", "ssh", "file"):
        raise UsageError(f"A course cannot be read from {scheme}://", _FORMS, where=text)
    body, marks = _marks(text, match["rest"])
    host, slash, path = body.partition("/")
    if not slash or not path or (not host and scheme != "file") or host.startswith("-"):
        raise UsageError("The address of the course is not complete", _FORMS, where=text)
    archive = path.partition("?")[0].lower().endswith(ARCHIVES) and scheme in ("https", "http", "file")
    if archive and not match["git"]:
        digest = marks.get("sha256", "").lower()
        if digest and not _DIGEST.fullmatch(digest):
            raise UsageError("That is no SHA-256 digest", "It has 64 digits, 0 to 9 and a to f.", where=text)
        url = _file_path(path) if scheme == "file" else f"{scheme}://{host}/{path}"
        return Address("archive", url, sha256=digest, subdirectory=_inner(text, marks))
    path, _, ref = path.rpartition("@") if "@" in path else (path, "", "")
    return Address("git", f"{scheme}://{host}/{path}", _ref(text, ref), subdirectory=_inner(text, marks))


def _file_path(path: str) -> str:
    """`/srv/course.zip` of `file:///srv/course.zip`, and `C:/course.zip` of `file:///C:/course.zip`."""
    from urllib.parse import unquote  # noqa: PLC0415  # whoever names no file:// does not wait for it

    found = unquote(path)
    return found if re.match(r"[A-Za-z]:", found) else "/" + found


def _marks(text: str, body: str) -> tuple[str, dict[str, str]]:
    """What stands before `#`, and what `key=value&key=value` behind it say."""
    before, _, behind = body.partition("#")
    marks: dict[str, str] = {}
    for mark in filter(None, behind.split("&")):
        key, sign, value = mark.partition("=")
        if key not in ("sha256", "subdirectory", "egg") or not sign:
            raise UsageError(
                f"`#{mark}` says nothing about a course", "Write `#sha256=DIGEST` or `#subdirectory=PATH`.", where=text
            )
        marks[key] = value
    return before, marks


def _ref(text: str, ref: str) -> str:
    lowered = ref.lower()
    if _COMMIT.fullmatch(lowered):
        return lowered
    if ref and (not _REF.fullmatch(ref) or ".." in ref or ref.endswith((".lock", "/", "."))):
        raise UsageError(f"`{ref}` is no commit, branch or tag", _FORMS, where=text)
    return ref


def _inner(text: str, marks: dict[str, str]) -> str:
    given = marks.get("subdirectory", "")
    parts = [part for part in given.split("/") if part not in ("", ".")]
    if given.startswith("/") or "\\" in given or ".." in parts or ":" in given:
        raise UsageError("The subdirectory does not lie in the course", "Name a folder below its root.", where=text)
    return "/".join(parts)
