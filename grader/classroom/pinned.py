"""What a classroom's machines are told: where grader and course are, such that it is the same each time.

The actions of the workflow are held to commits; the version that a commit is stands beside it, for whoever updates it.
"""

from __future__ import annotations

import json
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import grader
from grader.course import address, git
from grader.errors import UsageError
from grader.redacted import redacted

if TYPE_CHECKING:
    from grader.course.exercise import Course

ACTIONS = {
    "checkout": "actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1",
    "setup_python": "actions/setup-python@83679a892e2d95755f2dac6acb0bfd1e9ac5d548 # v6.1.0",
    "cache": "actions/cache@9255dc7a253b0ccc959486e2bca901246202afeb # v5.0.1",
}
_PACKAGE = "image-grader"
_COMMIT = re.compile(r"@[0-9a-f]{40}\b")
# `git@host:owner/repository`, and the same as an address: a classroom's machines have no key, and read it over https.
_BY_KEY = re.compile(r"(?:ssh://)?git@(?P<host>[\w.-]+)[:/](?P<path>[^:]+)")
_GRADER_FIX = (
    f"Name a version or a commit with --grader, like `{_PACKAGE}==1.2` or "
    f"`git+https://host/owner/repository@<the commit's 40 digits>`."
)


def course(given: str | None, found: Course) -> str:
    """The course's address for other machines, held to a commit or a digest.

    Raises UsageError when there is none: a folder that is in no repository, or has changes that nobody else has.
    """
    _openly(given or "")
    named = address.parse(given) if given else None
    if named is None:
        return str(_of_checkout(found.path, "--course"))
    if not named.remote:
        raise UsageError(
            "A classroom's machines do not reach an archive on this one",
            "Put it at an address, and name that with --course.",
            where=named.url,
        )
    if named.pinned:
        return str(named)
    from grader.course import source  # noqa: PLC0415

    return str(source.fetch(named).pinned)


def package(given: str | None) -> str:
    """What `pip install` is told to install the grader, held to a version or a commit.

    Raises UsageError when that may be another one tomorrow, or cannot be told.
    """
    if given is None:
        return _own_package()
    text = given.strip()
    _openly(text)
    if "==" in text or "===" in text or _COMMIT.search(text) or "#sha256=" in text or text.endswith(".whl"):
        return text
    raise UsageError("The grader is not held to a version or a commit", _GRADER_FIX, where=given)


def _openly(text: str) -> None:
    """Refuses an address with a password in it: everybody who sees the workflow would have it."""
    if redacted(text) != text:
        raise UsageError(
            "There is a password or a token in the address, and it would stand in the workflow for all to read",
            "Name the address without it; what a classroom reads has to be public.",
            where=text,
        )


def _own_package() -> str:
    """The grader that is running, as pip recorded where it is from (PEP 610)."""
    try:
        recorded = metadata.distribution(_PACKAGE).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        recorded = None
    if recorded is None:
        return f"{_PACKAGE}=={grader.__version__}"
    origin = json.loads(recorded)
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return f"{_PACKAGE} @ git+{_without_user(origin['url'])}@{commit}"
    if "dir_info" in origin:
        folder = Path(unquote(urlsplit(origin["url"]).path))
        try:
            return f"{_PACKAGE} @ {_of_checkout(folder, '--grader')}"
        except UsageError as error:
            raise UsageError(error.what, _GRADER_FIX, where=error.where) from error
    return f"{_PACKAGE} @ {_without_user(origin['url'])}"


def _without_user(url: str) -> str:
    return re.sub(r"^(https?://)[^/]*@", r"\1", url)


def _of_checkout(folder: Path, option: str) -> address.Address:
    """The commit of the repository that a folder is in, at the address that it was cloned from."""
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel"))
        url = _git(folder, "remote", "get-url", "origin")
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", str(folder))
    except UsageError as error:
        raise UsageError(
            "A classroom's machines do not reach a folder on this one, and it is in no repository with an `origin`",
            f"Name an address with {option}, like `git+https://host/owner/repository@<the commit's 40 digits>`.",
            where=str(folder),
        ) from error
    if changed:
        raise UsageError(
            "There are changes that are in no commit, which a classroom's machines would not see",
            f"Commit and push them, or name a commit with {option}.",
            where=str(folder),
        )
    inner = folder.resolve().relative_to(root.resolve()).as_posix()
    subdirectory = "" if inner in (".", "exercises") else inner
    if key := _BY_KEY.fullmatch(url):
        url = f"https://{key['host']}/{key['path']}"
    # What the checkout was cloned with (a token, say) is nobody else's.
    url = _without_user(url)
    found = address.parse(url if "://" in url else Path(url).resolve().as_uri())
    if found is None or found.kind != "git":
        raise UsageError("The repository's `origin` is no address", f"Name one with {option}.", where=url)
    return address.Address("git", found.url, commit, subdirectory=subdirectory)


def _git(folder: Path, *arguments: str) -> str:
    """What the user's own git says of the user's own checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=True, timeout=git.TIMEOUT,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError("git does not say", "Install git.", where=str(folder)) from error
    return done.stdout.strip()
