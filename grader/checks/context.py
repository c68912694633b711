"""What is sent to the engine to build from?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from grader.checks import _hand as hand
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.course.units import ByteSize, human_size
from grader.submission.ignore import matcher, taken_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject


def _pattern(text: str) -> str:
    matcher(text)
    return text


#: A file in the build context, there or not.
Path = Annotated[str, Rule(pattern=r"^[^/\s*?\[\]!\\][^*?\[\]\\]*$")]
#: A line of a `.dockerignore`.
Pattern = Annotated[str, Rule(_pattern, min_length=1)]


class _Fault(NamedTuple):
    got: str
    line: int | None = None


class Context(Check):
    """The build context: how much is sent to the engine, and what is among it.

    Patterns are those of `.dockerignore`, and match as the line would there: `.git` is that folder at the top with all
    that is in it, `**/*.pyc` every such file. The Dockerfile is always sent, whatever `.dockerignore` says.
    """

    of_files: ClassVar[bool] = True
    example: ClassVar[str] = """\
- id: small-context
  check: context
  max_size: 100kB
  absent: [.git, .env, "**/__pycache__"]
  present: [app.py]
  ignored: [.git/HEAD]
  points: 10
"""

    reason: ClassVar[str] = (
        "All of it travels to the engine at every build, and `COPY . .` puts it into the image, secrets and all."
    )
    advice: ClassVar[str] = "Name in .dockerignore what the image does not need, one pattern a line."

    looks_at: ClassVar[str] = (
        "The files that `docker build` sends to the engine: everything in the folder but what `.dockerignore` "
        "leaves out. Their number, their size, and what must not be among them."
    )

    check: Literal["context"]
    max_size: ByteSize | None = field(default=None, description="What the files sent may weigh together.")
    max_files: int | None = field(
        default=None, ge=1, description="How many files may be sent, the Dockerfile included."
    )
    absent: tuple[Pattern, ...] = field(default=(), description="What must not be sent, as lines of .dockerignore.")
    present: tuple[Pattern, ...] = field(default=(), description="What has to be sent, in the same patterns.")
    ignored: tuple[Path, ...] = field(
        default=(), description="Paths that .dockerignore has to leave out, whether there are such files or not."
    )

    def __post_init__(self) -> None:
        if self.max_size is None and self.max_files is None and not (self.absent or self.present or self.ignored):
            raise ValueError("context asks for nothing; give it max_size, max_files, absent, present or ignored")

    def run(self, subject: Subject) -> Outcome:
        """Names everything that is wrong; the line is that of the first COPY that takes it in."""
        context = subject.context
        evidence: dict[str, Any] = {
            "size": context.size,
            "files": len(context.files),
            "ignored": len(context.ignored),
            "largest": _largest(subject)[:10],
        }
        faults = [*self._sent(subject), *self._missing(subject), *self._let_in(subject), *self._too_much(subject)]
        if not faults:
            got = f"{human_size(context.size, unlike=self.max_size)} in {_count(len(context.files))}"
            return passed(expected=self.expectation(), got=got, **evidence)
        line = next((fault.line for fault in faults if fault.line), None)
        return failed(expected=self.expectation(), got="; ".join(fault.got for fault in faults), line=line, **evidence)

    def expectation(self) -> str:
        """What is expected, in words."""
        limits = [f"at most {human_size(self.max_size)}"] if self.max_size is not None else []
        limits += [f"at most {_count(self.max_files)}"] if self.max_files is not None else []
        parts = [f"of {', '.join(limits)}"] if limits else []
        parts += [f"without {', '.join(self.absent)}"] if self.absent else []
        parts += [f"with {', '.join(self.present)}"] if self.present else []
        parts += [f"that would have no {' or '.join(self.ignored)} either"] if self.ignored else []
        return f"a build context {', '.join(parts)}"

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """An image of nothing but the context, and a list of what is in it."""
        return (
            "printf 'FROM scratch\\nCOPY . /\\n' | docker build -f - -t my-context .",
            f"docker create --name {hand.FILES} my-context x",
            f"docker export {hand.FILES} | tar -tvf -",
            f"docker rm {hand.FILES}",
        )

    def _sent(self, subject: Subject) -> Iterator[_Fault]:
        context = subject.context
        for pattern in self.absent:
            matches = matcher(pattern)
            found = [path for path in context.files if path != context.dockerfile and matches(path)]
            if found:
                copy = taken_by(subject.dockerfile, found[0])
                one = len(found) == 1
                what = f"{found[0]} is sent" if one else f"{_count(len(found))}, such as {found[0]}, are sent"
                them = "it" if one else "them"
                into = f" and `{copy.text}` takes {them} into the image" if copy else ""
                # The last line that matches a path decides, so that this one always helps. An exercise that has hints
                # of its own leads there step by step.
                way = "" if self.hints else f"; `{pattern}` as the last line of .dockerignore keeps {them} out"
                yield _Fault(f"{what}{into}{way}", copy.line if copy else None)

    def _missing(self, subject: Subject) -> Iterator[_Fault]:
        context = subject.context
        for pattern in self.present:
            matches = matcher(pattern)
            if not any(matches(path) for path in context.files):
                ignored = next((path for path in context.ignored if matches(path)), None)
                why = f"{ignored} is left out by .dockerignore" if ignored else "there is no such file"
                yield _Fault(f"no {pattern} is sent: {why}")

    def _let_in(self, subject: Subject) -> Iterator[_Fault]:
        context = subject.context
        let_in = [path for path in self.ignored if not context.leaves_out(path)]
        if let_in:
            file = context.ignore_file
            them = "it" if len(let_in) == 1 else "them"
            why = f"{file} does not leave {them} out" if file else "there is no .dockerignore"
            yield _Fault(f"{', '.join(let_in)} would be sent: {why}")

    def _too_much(self, subject: Subject) -> Iterator[_Fault]:
        context = subject.context
        size, count = context.size, len(context.files)
        heavy, many = _largest(subject)[0], _most(context.files)
        if self.max_size is not None and size > self.max_size:
            copy = taken_by(subject.dockerfile, heavy[0])
            got = f"{human_size(size, unlike=self.max_size)}; {heavy[0]} alone is {human_size(heavy[1])}"
            yield _Fault(got, copy.line if copy else None)
        if self.max_files is not None and count > self.max_files:
            yield _Fault(f"{_count(count)}" + (f"; {many[1]} of them are in {many[0]}/" if many else ""))


def _largest(subject: Subject) -> list[tuple[str, int]]:
    """What is sent, with its bytes, the largest first."""
    sizes = ((path, len(subject.files[path].data)) for path in subject.context.files)
    return sorted(sizes, key=lambda pair: (-pair[1], pair[0]))


def _most(files: tuple[str, ...]) -> tuple[str, int] | None:
    """The folder at the top with the most files, and how many those are; None when all lie at the top."""
    folders = Counter(path.partition("/")[0] for path in files if "/" in path)
    return folders.most_common(1)[0] if folders else None


def _count(files: int) -> str:
    return f"{files} file{'s' * (files != 1)}"
