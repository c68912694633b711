"""Reads one commit of a git repository, with the machine's own `git`, and runs nothing of what is in it.

Nothing is checked out: the commit's files come as a tar from `git archive`. There are no hooks in a repository that was
just made here, submodules are not followed, filters of Git LFS are off, and only https, http, ssh and file are spoken.
Credentials are those that the user's git has; it is never made to ask for one.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import EngineError, GraderError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from grader.course.address import Address

#: Seconds that one call may take.
TIMEOUT = 300.0
_SAFE = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.file.allow": "always",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
#: What a hook or a wrapper may have set for a repository of its own.
_ELSEWHERE = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_TEMPLATE_DIR", "GIT_PROTOCOL_FROM_USER",
}  # fmt: skip
#: What a git says of an address that is wrong, or closed to this user: somebody has to mend what was typed.
_WRONG = re.compile(
    r"not found|does not exist|does not appear to be a git repository|authentication failed|permission denied"
    r"|could not read username|terminal prompts disabled|access denied|dubious ownership|not our ref|unadvertised"
    r"|couldn't find remote ref|returned error: 40[13]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Commit:
    """``moving`` says by what it was found, where that may be another one tomorrow: ``the branch main``."""

    id: str
    moving: str = ""


def resolve(address: Address) -> Commit:
    """The commit that an address means now; one that is a commit already is not asked for.

    Raises UsageError when there is no such ref, EngineError when the repository is not reached.
    """
    if address.pinned:
        return Commit(address.ref)
    found = _refs(_git(address.url, "ls-remote", "--", address.url, *_patterns(address.ref)))
    if not address.ref and "HEAD" in found:
        return Commit(found["HEAD"], "its default branch")
    tag, branch = f"refs/tags/{address.ref}", f"refs/heads/{address.ref}"
    # `^{}` is the commit that a tag of its own kind points to.
    for name, kind in ((f"{tag}^{{}}", "tag"), (tag, "tag"), (branch, "branch")):
        if address.ref and name in found:
            return Commit(found[name], f"the {kind} {address.ref}")
    fix = "Check what stands behind the @."
    if re.fullmatch(r"[0-9a-f]{4,39}", address.ref):
        fix += " A commit has to be written whole, with all of its 40 digits."
    what = f"The repository has no branch or tag `{address.ref}`" if address.ref else "The repository is empty"
    raise UsageError(what, fix, where=address.url)


def archive(address: Address, commit: str, file: Path, scratch: Path) -> None:
    """Writes the files of a commit to ``file``, a tar; ``scratch`` is a folder to make and to be deleted.

    Raises UsageError when the repository has no such commit, EngineError when it is not reached.
    """
    url, inside = address.url, (f"--git-dir={scratch}",)
    _git(url, "init", "--quiet", "--bare", "--template=", str(scratch))
    fetch = (*inside, "fetch", "--quiet", "--no-tags")
    try:
        _git(url, *fetch, "--depth=1", "--", url, commit)
    except UsageError as error:
        # Some servers do not give a commit by its id, but do give all of their history.
        if "unadvertised" not in " ".join(error.log):
            raise
        _git(url, *fetch, "--", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    try:
        found = _git(url, *inside, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").strip()
    except GraderError:
        found = ""
    if found != commit:
        raise UsageError(f"The repository has no commit {commit}", "Check what stands behind the @.", where=url)
    _git(url, *inside, "archive", "--format=tar", f"--output={file}", commit)


def _patterns(ref: str) -> tuple[str, ...]:
    return (f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}", f"refs/heads/{ref}") if ref else ("HEAD",)


def _refs(answer: str) -> dict[str, str]:
    lines = (line.split("\t", 1) for line in answer.splitlines() if "\t" in line)
    return {name: commit for commit, name in lines}


def _git(where: str, *arguments: str) -> str:
    """What a call of git answers; ``where`` names the repository in messages."""
    command = ["git"] + [word for key, value in _SAFE.items() for word in ("-c", f"{key}={value}")]
    try:
        done = subprocess.run(
            [*command, *arguments], env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
            check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UsageError(
            "There is no git on this machine to read the repository with",
            "Install git, or name a release archive (.zip, .tar.gz) or a folder.",
            where=where,
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"The repository did not answer within {TIMEOUT:.0f} s", "Check the network.", where=where
        ) from error
    if done.returncode != 0:
        raise _failure(done.stderr.decode(errors="replace"), where)
    return done.stdout.decode(errors="replace")


def _failure(said: str, where: str) -> GraderError:
    log = tuple(line for line in said.splitlines() if line.strip())[-6:]
    if _WRONG.search(said) and "could not resolve host" not in said.lower():
        fix = "Check the address, what stands behind the @, and that your git may read it."
        return UsageError("The repository cannot be read", fix, where=where, log=log)
    return EngineError("The repository is not reached", "Check the network, and try again.", where=where, log=log)


def _environment() -> dict[str, str]:
    """The user's own, without what would point git at another repository, and such that it never asks."""
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    never_asks = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_ALLOW_PROTOCOL": "https:http:ssh:file"}
    return {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"} | kept | never_asks | {"LC_ALL": "C"}
