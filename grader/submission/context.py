"""The build context: the files that travel to the engine, as a tar archive.

The engine does not apply `.dockerignore` to an archive that it is sent, so it is applied here. How patterns match is
defined by Moby's `patternmatcher`; how the ignore file is chosen and read, by the docker CLI.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from e2b_dockerfile_utils import PatternMatcher

from grader.errors import SubmissionError
from grader.submission.files import DOCKERFILE, MIB, File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

BOM = "\ufeff"
#: Lines of an ignore file; each pattern is held against each file.
MOST_PATTERNS = 5_000


@dataclass(frozen=True)
class Context:
    """What is sent: the archive, the bytes of file content in it, the paths sent and the paths left out, sorted.

    ``patterns`` are the lines of ``ignore_file``, if there is one.
    """

    tar: bytes
    size: int
    files: tuple[str, ...]
    ignored: tuple[str, ...]
    dockerfile: str = DOCKERFILE
    ignore_file: str = ""
    patterns: tuple[str, ...] = field(default=(), repr=False)

    def leaves_out(self, path: str) -> bool:
        """Whether the ignore file keeps ``path`` from being sent, whether there is such a file or not."""
        return path != self.dockerfile and PatternMatcher(list(self.patterns)).matches(path)

    def ignored_by(self, path: str) -> int | None:
        """The line (from 1) of the ignore file that leaves out ``path``, one of ``ignored``; None for other paths."""
        if path not in self.ignored:
            return None
        # The last line that matches decides, and it is no exception: the path is left out.
        lines = [number for number, line in enumerate(self.patterns, start=1) if not line.lstrip().startswith("!")]
        matching = (number for number in reversed(lines) if PatternMatcher([self.patterns[number - 1]]).matches(path))
        return next(matching, None)


def pack(files: Mapping[str, File], *, dockerfile: str = DOCKERFILE, limit: int = 50 * MIB) -> Context:
    """Make the archive; equal files give equal bytes.

    ``limit`` is in bytes of file content. Raises SubmissionError when the content is larger, when the ignore file
    holds an invalid pattern, and when the Dockerfile is missing.
    """
    if dockerfile not in files:
        raise SubmissionError(f"There is no file named {dockerfile}.", f"Add {dockerfile}.", where=dockerfile)
    ignore_file = next((name for name in (f"{dockerfile}.dockerignore", ".dockerignore") if name in files), "")
    patterns = tuple(_patterns(files[ignore_file].data, ignore_file)) if ignore_file else ()
    excluded = _excluded(files, dockerfile, patterns)
    sent = {path: file for path, file in files.items() if path not in excluded}
    size = sum(len(file.data) for file in sent.values())
    if size > limit:
        raise _too_large(sent, size, limit)
    ignored = tuple(sorted(excluded))
    return Context(_archive(sent), size, tuple(sorted(sent)), ignored, dockerfile, ignore_file, patterns)


def _excluded(files: Mapping[str, File], dockerfile: str, patterns: Sequence[str]) -> frozenset[str]:
    """The paths that the ignore file leaves out; never the Dockerfile, which the engine reads from the archive."""
    if not patterns:
        return frozenset()
    matcher = PatternMatcher(list(patterns))
    return frozenset(path for path in files if path != dockerfile and matcher.matches(path))


def _patterns(data: bytes, ignore_file: str) -> Iterator[str]:
    if b"\0" in data:
        raise SubmissionError(
            f"{ignore_file} is not plain text.", "Save it as UTF-8 without zero bytes.", where=ignore_file
        )
    lines = data.decode("utf-8", errors="replace").removeprefix(BOM).split("\n")
    if len(lines) > MOST_PATTERNS:
        raise SubmissionError(
            f"{ignore_file} has more than {MOST_PATTERNS:,} lines.",
            "One pattern can stand for many files: `**/*.log`.",
            where=ignore_file,
        )
    for number, line in enumerate(lines, start=1):
        try:
            # One at a time, because the matcher does not tell which pattern it refused.
            PatternMatcher([line])
        except ValueError as error:
            raise SubmissionError(
                f"{ignore_file} has an invalid pattern in line {number}: {line.strip()!r}.",
                "Close every `[`, and let no pattern be a lone `!` or end with a backslash.",
                where=f"{ignore_file}:{number}",
            ) from error
        yield line


def _archive(files: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    # GNU, because Engine 20.10 takes an archive that starts with a PAX header for a Dockerfile.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for path in sorted({*files, *_folders(files)}, key=lambda path: path.split("/")):
            archive.addfile(*_member(path, files.get(path)))
    return buffer.getvalue()


def _member(path: str, file: File | None) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    info = tarfile.TarInfo(path)
    if file is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        return info, None
    info.mode, info.size = 0o755 if file.executable else 0o644, len(file.data)
    return info, io.BytesIO(file.data)


def _folders(files: Iterable[str]) -> set[str]:
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    clash = sorted(folders & set(files))
    if clash:
        raise SubmissionError(
            f"{clash[0]} is a file, but there are also files below {clash[0]}/.", f"Rename {clash[0]}.", where=clash[0]
        )
    return folders


def _too_large(sent: Mapping[str, File], size: int, limit: int) -> SubmissionError:
    largest = max(sent, key=lambda path: len(sent[path].data))
    return SubmissionError(
        f"The build context is {size:,} bytes, more than the {limit:,} allowed; the largest file is {largest}.",
        f"Remove what the image does not need, or name it in .dockerignore: {largest} alone is "
        f"{len(sent[largest].data):,} bytes.",
        where=largest,
    )
