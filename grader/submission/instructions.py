"""The text of a Dockerfile -> its instructions, with the lines they stand in.

Where an instruction begins and ends is told here, as BuildKit's parser tells it; what is inside one is told by
`e2b_dockerfile_utils`. The text is a learner's, and what is read from it decides which images may be used: so whatever
one front end reads otherwise than another is refused, or read both ways (see `policy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from e2b_dockerfile_utils import DockerfileHeredoc, ShellLex, is_space, parse_dockerfile_ast, parse_heredoc

from grader.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
# How many arguments BuildKit asks for at least; the others may stand alone.
LEAST_ARGUMENTS = {"COPY": 2, "ADD": 2, "CMD": 0, "ENTRYPOINT": 0, "RUN": 0}
FLAGS = {
    "ADD": {"chown", "chmod", "checksum", "exclude", "keep-git-dir", "link", "unpack"},
    "COPY": {"chown", "chmod", "exclude", "from", "link", "parents"},
    "FROM": {"platform"},
    "HEALTHCHECK": {"interval", "retries", "start-interval", "start-period", "timeout"},
    "RUN": {"device", "mount", "network", "security"},
}
SWITCHES = {"keep-git-dir", "link", "parents", "unpack"}
REPEATABLE = {"device", "exclude", "mount"}
MOST_INSTRUCTIONS = 10_000
DEEPEST_NESTING = 20
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*\Z")
_BLANKS = re.compile(r"[\t\v\f\r ]+")


class DockerfileError(SubmissionError):
    """A Dockerfile that no engine would build; ``line`` is where (1-based), ``where`` reads ``Dockerfile:LINE``."""

    def __init__(self, what: str, fix: str = "", *, line: int = 1) -> None:
        super().__init__(what, fix, where=f"Dockerfile:{line}", line=line)


@dataclass(frozen=True)
class Instruction:
    """One instruction, from ``line`` to ``end_line`` (1-based, inclusive, heredoc bodies and their ends included).

    ``text`` is one logical line: continuations joined, comments dropped. ``args`` of ONBUILD are the raw words of what
    it triggers, which ``trigger`` holds parsed (None when it is no instruction). ``heredocs`` are bodies, as written.
    """

    keyword: str
    line: int
    end_line: int
    text: str
    flags: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    exec_form: bool = False
    heredocs: tuple[str, ...] = ()
    trigger: Instruction | None = None

    def flag_values(self, name: str) -> tuple[str, ...]:
        """The values of every ``--name=value`` flag, in order; a flag without a value has the empty one."""
        pairs = (flag.removeprefix("--").partition("=") for flag in self.flags)
        return tuple(value for key, _, value in pairs if key == name)


@dataclass(frozen=True)
class Directive:
    """A `# key=value` line at the top; ``indented`` when blanks stand before the `#`."""

    line: int
    key: str
    value: str
    indented: bool


def directives(lines: Sequence[str]) -> Iterator[Directive]:
    """The directive lines at the top, known and unknown ones, after a `#!` line if there is one."""
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith("#!"):
            continue
        bare = trim_left(line)
        value = trim_left(bare[1:])
        match = _DIRECTIVE.match(value) if bare.startswith("#") else None
        if not match:
            return
        key = match[1].lower()
        blanks = line[: len(line) - len(bare)] + bare[1 : len(bare) - len(value)]
        if key in {"syntax", "escape", "check"} and blanks.strip("\t\f\r "):
            # Engines disagree on whether this is a directive.
            raise DockerfileError(
                f"The `# {key}=` line holds an invisible character other than a space.",
                "Type the line anew, with ordinary spaces.",
                line=number,
            )
        yield Directive(number, key, match[2], bare != line)


def syntax_of(found: Sequence[Directive]) -> Directive | None:
    """The directive that names a front end, by the widest of the engines' rules; DockerfileError when there are two."""
    # Engine 20.10 reads on behind directives that it does not know, newer ones do not; none reads indented ones.
    level = next((place for place, directive in enumerate(found) if directive.indented), len(found))
    named = [directive for directive in found[:level] if directive.key == "syntax"]
    if len(named) > 1:
        raise DockerfileError("There are two `# syntax=` lines.", "Keep one of them.", line=named[1].line)
    return named[0] if named else None


def escape_of(found: Sequence[Directive]) -> str:
    """The escape character: a backslash unless an `# escape=` line says backtick."""
    seen: dict[str, str] = {}
    for place, directive in enumerate(found):
        if directive.line != place + 1 or directive.key not in {"syntax", "escape", "check"}:
            break
        if directive.key in seen:
            raise DockerfileError(
                f"There are two `# {directive.key}=` lines.", "Keep one of them.", line=directive.line
            )
        seen[directive.key] = directive.value
        if directive.key == "escape" and directive.value not in {"\\", "`"}:
            raise DockerfileError(
                f"The escape character cannot be {directive.value!r}.",
                "Use a backslash or a backtick, or drop the line.",
                line=directive.line,
            )
    return seen.get("escape", "\\")


def trim_left(line: str) -> str:
    """The line without leading blanks; what a blank is, is Go's choice and not Python's."""
    for place, char in enumerate(line):
        if not is_space(char):
            return line[place:]
    return ""


def instructions(lines: Sequence[str], escape: str, *, heredocs: bool = True) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, given its lines without their LF.

    ``heredocs=False`` reads as front ends before 1.4 do, to which a heredoc's body is more instructions.
    Raises DockerfileError.
    """
    place = count = 0
    while place < len(lines):
        start = place
        text, place = _logical_line(lines, start, escape)
        if not text.strip():
            continue
        count += 1
        if count > MOST_INSTRUCTIONS:
            raise DockerfileError(
                f"The Dockerfile has more than {MOST_INSTRUCTIONS:,} instructions.", "Shorten it.", line=start + 1
            )
        instruction = _instruction(text.strip(), start + 1, place, escape)
        bodies: list[str] = []
        for heredoc in _heredocs(instruction) if heredocs else ():
            body, place = _heredoc_body(lines, place, heredoc, start + 1)
            bodies.append(body)
        yield _with_heredocs(instruction, tuple(bodies), place)


def _logical_line(lines: Sequence[str], place: int, escape: str) -> tuple[str, int]:
    """The logical line that begins at an index, and the index behind it."""
    first = trim_left(lines[place])
    part, open_ended = _continued("" if first.startswith("#") else first, escape, place + 1)
    parts = [part]
    place += 1
    while open_ended and place < len(lines):
        line = lines[place]
        place += 1
        bare = trim_left(line)
        if bare and not bare.startswith("#"):
            part, open_ended = _continued(line, escape, place)
            parts.append(part)
    return "".join(parts), place


def _continued(line: str, escape: str, number: int) -> tuple[str, bool]:
    """The line without its continuation mark, and whether it had one; a mark that is escaped itself is none."""
    bare = line.rstrip("\r").rstrip(" \t")
    if not bare.endswith(escape) or bare.endswith(escape * 2):
        return line.rstrip("\r"), False
    if line.endswith("\r\r"):
        # Engine 20.10 takes the line to end here, newer ones continue it.
        raise DockerfileError(
            "The line ends with more than one carriage return.", "Save the file with ordinary line ends.", line=number
        )
    return bare[:-1], True


def _instruction(text: str, line: int, end_line: int, escape: str) -> Instruction:
    word = _BLANKS.split(text, maxsplit=1)[0]
    keyword = word.upper()
    # Python upper-cases more letters into ASCII than Go does.
    if not word.isascii() or keyword not in KEYWORDS:
        raise _unknown(word, line)
    flags, args, exec_form = _parts(text, line, escape)
    if keyword == "ONBUILD":
        return _onbuild(text, line, end_line, escape)
    _check_flags(keyword, flags, line)
    least = LEAST_ARGUMENTS.get(keyword, 1)
    if len(args) < least and keyword != "FROM":
        raise DockerfileError(
            f"{keyword} needs at least {least} argument{'s' * (least > 1)}.",
            "COPY and ADD take what to copy and where to: `COPY app.py /app/`."
            if least > 1
            else f"Say what {keyword} is to do.",
            line=line,
        )
    return Instruction(keyword, line, end_line, text, flags, args, exec_form)


def _parts(text: str, line: int, escape: str) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Flags, arguments and whether they are in exec (JSON) form, of one instruction on one line."""
    # The parser would look for heredoc bodies behind the line; they are found here, and by keyword ONBUILD too.
    stand_in = next(char for char in map(chr, range(0xE000, 0xF900)) if char not in text) * 2 if "<<" in text else ""
    hidden = text.replace("<<", stand_in) if stand_in else text
    head = "# escape=`\n#\n" if escape == "`" else "#\n"
    try:
        (found,) = parse_dockerfile_ast(head + hidden).instructions
    except (ValueError, RecursionError) as error:
        reason = re.sub(r"^Dockerfile parse error( on line \d+)?: ", "", str(error))
        raise DockerfileError(
            f"Docker cannot read this instruction: {reason}.", "Compare it with its documentation.", line=line
        ) from error

    def shown(words: list[str]) -> tuple[str, ...]:
        return tuple(word.replace(stand_in, "<<") for word in words) if stand_in else tuple(words)

    return shown(found.flags), shown(found.args), found.json


def _onbuild(text: str, line: int, end_line: int, escape: str) -> Instruction:
    rest = _BLANKS.split(text, maxsplit=1)[1:]
    words = tuple(_BLANKS.split(rest[0])) if rest else ()
    if not words:
        raise DockerfileError("ONBUILD needs an instruction.", "Write one behind it, or drop the line.", line=line)
    if words[0].upper() in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise DockerfileError(
            f"ONBUILD cannot trigger {words[0].upper()}.", "Use another instruction, such as RUN or COPY.", line=line
        )
    trigger = None
    if words[0].isascii() and words[0].upper() in KEYWORDS:
        # Engines look into the trigger only when it fires; a wrong one is no error here.
        try:
            trigger = _instruction(rest[0], line, end_line, escape)
        except DockerfileError:
            trigger = Instruction(words[0].upper(), line, end_line, rest[0], args=words[1:])
    return Instruction("ONBUILD", line, end_line, text, args=words, trigger=trigger)


def _check_flags(keyword: str, flags: tuple[str, ...], line: int) -> None:
    seen: set[str] = set()
    for flag in flags:
        name, equals, _ = flag.removeprefix("--").partition("=")
        known = FLAGS.get(keyword, set())
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            fix = f"Did you mean `--{near[0]}`?" if near else "Drop it."
            raise DockerfileError(f"{keyword} has no flag `--{name}`.", fix, line=line)
        if not equals and name not in SWITCHES:
            raise DockerfileError(f"`--{name}` needs a value.", f"Write `--{name}=…`, without blanks.", line=line)
        if name in seen and name not in REPEATABLE:
            raise DockerfileError(f"`--{name}` is given twice.", "Keep one of them.", line=line)
        seen.add(name)


def _unknown(word: str, line: int) -> DockerfileError:
    near = get_close_matches(word.upper(), KEYWORDS, n=1, cutoff=0.6)
    if near:
        fix = f"Did you mean {near[0]}?"
    elif word.startswith(("&&", "|", ";", "-")):
        fix = "Does the line before lack a `\\` at its end?"
    else:
        fix = f"A line begins with one of {', '.join(KEYWORDS)}; a comment begins with #."
    shown = word if word.isprintable() and len(word) < 60 else ascii(word[:60])
    return DockerfileError(f"Unknown instruction: {shown}.", fix, line=line)


def _heredocs(instruction: Instruction) -> list[DockerfileHeredoc]:
    """The heredocs that an instruction opens, their bodies still unread."""
    inner = instruction.trigger or instruction
    if "<<" not in instruction.text or inner.keyword not in {"ADD", "COPY", "RUN"} or inner.exec_form:
        return []
    if _nesting(instruction.text) > DEEPEST_NESTING:
        raise DockerfileError("Variables are nested too deeply here.", "Write it more simply.", line=instruction.line)
    try:
        words = ShellLex("\\", raw_quotes=True, raw_escapes=True).process_words(instruction.text)
    except ValueError:
        # An odd quote: BuildKit sees no heredoc then either.
        return []
    try:
        return [heredoc for word in words if (heredoc := parse_heredoc(word))]
    except ValueError as error:
        raise DockerfileError(
            "Docker cannot read the heredoc here.", "Write it as `<<EOF`, with a line `EOF` behind its text.",
            line=instruction.line,
        ) from error  # fmt: skip


def _nesting(text: str) -> int:
    depth = deepest = 0
    for mark in re.findall(r"\$\{|\}", text):
        depth = depth + 1 if mark == "${" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _heredoc_body(lines: Sequence[str], place: int, heredoc: DockerfileHeredoc, opened: int) -> tuple[str, int]:
    for end in range(place, len(lines)):
        line = lines[end].rstrip("\r")
        if (line.lstrip("\t") if heredoc.chomp else line) == heredoc.name:
            return "".join(f"{body}\n" for body in lines[place:end]), end + 1
    raise DockerfileError(
        f"The heredoc {ascii(heredoc.name)[1:-1]} is never closed.",
        f"Put {ascii(heredoc.name)[1:-1]} alone on a line behind its text, without blanks around it.",
        line=opened,
    )


def _with_heredocs(instruction: Instruction, bodies: tuple[str, ...], end_line: int) -> Instruction:
    if not bodies:
        return instruction
    return replace(instruction, heredocs=bodies, end_line=end_line)
