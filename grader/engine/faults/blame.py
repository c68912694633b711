"""Why a build ended without an image, and whose fault that is.

An unknown error is never the learner's: only what is recognised as the work of their files may cost points. The texts
are those of Engine 20.10, Engine 28 and Podman 4.3; the tests hold what each of them really says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.course.units import human_time
from grader.engine.faults import missing, offline, outgrown, platforms, quoted, ungiven, unstarted
from grader.engine.faults.quoted import PATH_TROUBLE
from grader.engine.faults.unstarted import shortened
from grader.errors import EngineError, GraderError, SubmissionError
from grader.submission.instructions import FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.build import Build
    from grader.engine.embedded.standing import Standing
    from grader.engine.trace import Step
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile

_FREE_SPACE = "Free space (`grader clean --cache` removes the engine's build cache), then grade again."
_DISK = (
    ("no space left on device", "The engine's disk is full", _FREE_SPACE),
    ("disk quota exceeded", "The engine's disk is full", _FREE_SPACE),
)
_REGISTRY = (
    ("toomanyrequests", "A registry limits how often it may be asked", "Log in to it, or wait and grade again."),
    ("429 too many requests", "A registry limits how often it may be asked", "Log in to it, or wait and grade again."),
)
_TOO_OLD = "This engine is too old for a substitution in the Dockerfile"
_NEWER = "Use Docker Engine 23 or later. Nothing is counted against the submission."
_NEWER_FRONT_END = "Use a newer Docker Engine, or do without the flag. Nothing is counted against the submission."
_NO_SESSION = "The session in which the build gets its secrets broke off"
# In what the engine says of a step, when the machine, its network or a registry is at fault.
_OURS = (
    *_DISK,
    *_REGISTRY,
    ("failed to create endpoint", "The engine could not give the step a network", "Restart the engine."),
    ("could not attach to network", "The engine could not give the step a network", "Restart the engine."),
    ("cannot allocate memory", "The engine's machine is out of memory", "Free memory, then grade again."),
    ("error during connect", "The engine lost its connection", "See that it runs (`grader doctor`)."),
    ("code = unavailable", "The engine's builder is not available", "See that it runs (`grader doctor`)."),
    ("unsupported modifier (#", _TOO_OLD, _NEWER),
    ("unsupported modifier (%", _TOO_OLD, _NEWER),
    ("unsupported modifier (/", _TOO_OLD, _NEWER),
    # Flags that no front end knows were refused before the build.
    *(
        (f"unknown flag: --{flag}", f"This engine's front end is too old for `--{flag}`", _NEWER_FRONT_END)
        for flag in sorted(set().union(*FLAGS.values()))
    ),
    ("no active session", _NO_SESSION, "Grade again; if it stays, `grader doctor` tells more."),
)
_NETWORK = re.compile(
    r"temporary failure (?:in name resolution|resolving)|could not resolve|name or service not known|no such host"
    r"|network is unreachable|no route to host|failed to establish a new connection|connection timed out"
    r"|tls handshake timeout|dial tcp|i/o timeout|connection reset by peer|read timed out|timed out \(read timeout"
    r"|failed to connect to|unable to resolve host|bad address|couldn't resolve host|max retries exceeded"
    r"|connecttimeouterror|incompleteread|\b(?:eai_again|enotfound|etimedout|econnreset)\b|http error 50[0234]"
    r"|the requested url returned error: 50[0234]|temporary error \(try again later\)"
    r"|service unavailable|bad gateway|gateway time-?out|proxy error|unable to connect to|remote end closed connection",
    re.IGNORECASE,
)
# What package managers say at last when nothing could be fetched, and also when a name is misspelt.
_STARVED = re.compile(
    r"unable to locate package|has no installation candidate|\(from versions: none\)|no matching distribution found"
    r"|failed to fetch|unable to fetch some archives|unable to select packages",
    re.IGNORECASE,
)

# What engines put around the reason: which of their parts found it, and under which number.
_NOISE = re.compile(
    r"failed to solve(?: with frontend \S+)?: |failed to create LLB definition: |failed to compute cache key: "
    r"|failed to calculate checksum of ref \S+: |failed to walk \S+: |rpc error: code = \w+ desc = "
    r"|checking on sources under \"[^\"]*\": |Rel: can't make [^;]*; |copier: "
    r"|(?:executor failed running|process) .* did not complete successfully: "
)
# What the engine says of a Dockerfile or a context that asks for something that is not there. Each is a text seen for a
# learner's mistake; a mere “invalid” or “not found” could as well be a broken store of the engine.
_THEIRS = (
    (re.compile(r"dockerfile parse error", re.IGNORECASE), "The Dockerfile cannot be read"),
    (
        re.compile(r'(?:failed to compute cache key|failed to calculate checksum).*"[^"]*"(?:: not found| not found)'
                   r'|copier: stat: \[?"[^"]*"\]?: no such file or directory'),
        "A file that is to be copied is not there",
    ),
    (
        re.compile(r"(?:^|: )(?:l?stat|open|mkdir|readlink|failed to walk) (?P<path>/[^\s:]+): " + PATH_TROUBLE),
        "A file or a folder that is asked for is not there",
    ),
    (
        re.compile(r"(?:^|: )too many links$|cannot copy to non-directory: /"
                   r"|not a directory$|cannot replace to directory /|cannot overwrite (?:non-)?directory"),
        "A file or a folder stands in the way of what is to be copied",
    ),
    (
        re.compile(r"unable to find (?:user|group)|no matching entries in (?:passwd|group)|invalid user index"
                   r"|determining run [ug]id: (?:user|group): unknown|looking up UID/GID for"),
        "A user or a group does not exist in the image",
    ),
    (
        re.compile(r"(?:^|: )(?:l?stat|open|mkdir|readlink|failed to walk) /[^\s:]+: file name too long"),
        "A name or a path is longer than a file system takes",
    ),
    (re.compile(r"max depth exceeded"), "The image has more layers than the engine takes"),
    (re.compile(r"lint violation found for rules: "), "`# check=error=true` asks for a Dockerfile without warnings"),
    (re.compile(r"invalid response status 4(?:04|10)\b"), "A remote file that ADD asks for is not there"),
    (
        re.compile(r"invalid containerPort: |invalid mount target|unsupported mount type|failed to process \""
                   r"|invalid signal: |^invalid syntax$|target stage .* (?:could not be found|not found)"
                   r"|circular dependency|invalid from flag value|base name \(.*\) should not be blank"
                   r"|failed to parse stage name|invalid reference format|unsupported modifier"
                   r"|incorrect mount flags|invalid mount type|unknown instruction: |unknown flag"
                   r'|unsupported sharing value "|invalid value (?:\S+ )?for (?:uid|gid|mode|size)\b'
                   r"|invalid checksum digest|unsupported digest algorithm|checksum requires HTTP"
                   r"|unexpected key '|syntax error in pattern|invalid proto|invalid port|error parsing chmod"
                   r"|must set volume destination"
                   r'|unknown type "[^"]*" in HEALTHCHECK|time: (?:missing unit in|invalid) duration'
                   r"|requires the arguments to be in JSON form|missing ':' in substitution", re.IGNORECASE),
        "The Dockerfile asks for something that cannot be done",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What was to be built, of which files, the ids of the secrets that the exercise gives, and what bounds a build.

    ``instead`` is what a learner of an exercise that builds without a network can do (`engine.faults.offline`), "" with
    one. ``platform`` is the engine's own (`linux/amd64`).
    """

    dockerfile: Dockerfile | None = None
    context: Context | None = None
    secrets: tuple[str, ...] = ()
    standing: Standing | None = None
    instead: str = ""
    platform: str = ""


class DoubtfulError(EngineError):
    """A step says itself that a fault of ours made it fail, which any RUN can print.

    ``kind`` is what is said to have failed: `disk`, `network` or `runtime`. Until a control has shown that (`doubt`)
    it counts as such; when it shows the contrary, ``theirs`` is what happened.
    """

    def __init__(self, kind: str, ours: EngineError, theirs: SubmissionError, step: Step) -> None:
        """Tells what ``ours`` tells."""
        super().__init__(ours.what, ours.fix, where=ours.where, line=ours.line, log=ours.log)
        self.kind = kind
        self.theirs = theirs
        self.step = step
        #: The build that failed so, as it is told when the fault turns out to be theirs.
        self.build: Build | None = None


def failure(error: str, step: Step | None, *, steps: Sequence[Step] = (), asked: Asked | None = None) -> GraderError:
    """What ``error`` means: a ``SubmissionError`` when the learner's files did it, else an ``EngineError``.

    ``steps`` are all that ran, for what an earlier one may have failed to fetch; ``asked`` helps to find a line where
    no step failed, and to say why a file is not there.
    """
    asked = asked or Asked()
    if step and step.exit_code is not None:
        return _failed_command(step, steps, asked)
    # Podman quotes the step in its error: those words are the learner's.
    error = error.replace(f'building at STEP "{step.name}": ', "") if step else error
    text = quoted.without_folders("\n".join([error, step.error if step and step.error not in error else ""])).strip()
    engines = quoted.without_quotes(text)
    line = _numbered(error) or (step.line if step else None) or _line_in(error, asked.dockerfile)
    where = f"Dockerfile:{line}" if line else ""
    log = step.last_lines if step else ()
    short = shortened(quoted.without_folders(error))
    mistake = ungiven.failure(text, asked.secrets, line)
    if mistake := mistake or platforms.foreign(engines, asked.dockerfile, asked.platform):
        return mistake
    for sign, what, fix in _OURS:
        if sign in engines.lower():
            return EngineError(f"{what}: {short}", fix, where=where, log=log)
    if _NETWORK.search(engines):
        fix = "See that the engine reaches it, then grade again; if the Dockerfile made the address up, mend it there."
        return EngineError(f"The network failed: {short}", fix, where=where, log=log)
    if not quoted.names_engines_file(text, asked.dockerfile):
        for pattern, what in _THEIRS:
            if any(pattern.search(part) for part in text.splitlines()):
                told = missing.explain(text, line, asked.dockerfile, asked.context)
                told = told or missing.Missing(f"{what}: {_NOISE.sub('', short)}", _look_at(line, log))
                return SubmissionError(told.what, told.fix, where=where, line=line, log=log)
    return EngineError(
        f"The engine could not build the image: {short}",
        "This is not known to be the submission's fault, so nothing is counted against it. Grade again; "
        "if it stays, `grader doctor` tells more.",
        where=where,
        log=log,
    )


def timeout(step: Step | None, limit: float, *, engine_hung: bool, instead: str = "") -> GraderError:
    """The build took longer than ``limit`` seconds; an engine that never began or cannot be stopped is to blame.

    ``instead`` is that of `Asked`.
    """
    if step is not None and step.name.startswith("exporting"):
        return SubmissionError(
            f"The image was not finished within {human_time(limit)}: every step ended, but what they left is too large",
            "Look for huge files, also for sparse ones.",
        )
    if engine_hung or step is None:
        return EngineError(
            f"The engine did not finish the build within {human_time(limit)}, nor end it when asked to",
            "See that the engine is well (`grader doctor`), then grade again.",
        )
    where = f"Dockerfile:{step.line}" if step.line else ""
    ours = EngineError(
        f"The build did not finish within {human_time(limit)}, and what it waited for was not the submission's",
        "See that builds reach the network (`grader doctor`), then grade again.",
        where=where,
        log=step.last_lines,
    )
    if not step.line:
        return ours
    theirs = SubmissionError(
        f"The build did not finish within {human_time(limit)}; it was at: {shortened(step.instruction)}",
        "Look for a step that waits for something, a server that never ends, or work that a cache could save.",
        where=where,
        line=step.line,
        log=step.last_lines,
    )
    if not _NETWORK.search("\n".join(step.last_lines)):
        return theirs
    return offline.failure(step, instead) if instead else DoubtfulError("network", ours, theirs, step)


def starved(step: Step | None) -> bool:
    """Whether a step failed as it would if nothing could be fetched, which is also how a misspelt name fails."""
    return step is not None and step.exit_code is not None and bool(_STARVED.search("\n".join(step.last_lines)))


def _failed_command(step: Step, steps: Sequence[Step], asked: Asked) -> GraderError:
    """A RUN that ended with an error: the learner's, unless its own last words are that disk or network are gone."""
    where = f"Dockerfile:{step.line}" if step.line else ""
    refused = unstarted.failure(step, where)
    stopped = None if refused else outgrown.failure(step, asked.standing)
    tail = "\n".join(step.last_lines).lower()
    # `apt-get update` succeeds without a network; what it could not fetch is missed much later.
    told = "\n".join([*(one.log for one in steps), step.log]) if starved(step) else tail
    # What is not found without a network is perhaps looked for in one.
    aside = f" This exercise builds without a network. {asked.instead}" if asked.instead and starved(step) else ""
    killed = " (killed: out of memory?)" if step.exit_code == 137 else ""  # 128 + SIGKILL
    theirs = SubmissionError(
        f"The step “{shortened(step.instruction)}” ended with exit code {step.exit_code}{killed}",
        ungiven.mounted(step.instruction, asked.secrets) or _look_at(step.line, step.last_lines) + aside,
        where=where,
        line=step.line,
        log=step.last_lines,
    )
    if isinstance(refused, EngineError):
        return DoubtfulError("runtime", refused, theirs, step)
    if refused or stopped:
        return refused or stopped or theirs
    # Without a network, what a step says of a registry is no registry's.
    for kind, signs in (("disk", _DISK), ("network", () if asked.instead else _REGISTRY)):
        for sign, what, fix in signs:
            if sign in tail:
                ours = EngineError(f"{what} (seen in the log of a step)", fix, where=where, log=step.last_lines)
                return DoubtfulError(kind, ours, theirs, step)
    if _NETWORK.search(told):
        unreached = DoubtfulError("network", no_network(step), theirs, step)
        return offline.failure(step, asked.instead) if asked.instead else unreached
    return theirs


def no_network(step: Step) -> EngineError:
    """A step needed a network that was not there."""
    return EngineError(
        "The network failed while a step needed it",
        "See that builds reach the network (`grader doctor`), then grade again. If the address in the log is one "
        "that the Dockerfile made up, mend it there.",
        where=f"Dockerfile:{step.line}" if step.line else "",
        log=step.last_lines,
    )


def _numbered(error: str) -> int | None:
    """The line that an error names by its number."""
    number = re.search(r"(?:dockerfile parse error (?:on )?line |StartLine:)(\d+)", error, re.IGNORECASE)
    return int(number[1]) if number else None


def _line_in(error: str, dockerfile: Dockerfile | None) -> int | None:
    """The line that an error without a step speaks of, by the word that it quotes."""
    if dockerfile is None:
        return None
    words = [*re.findall(r'"([^"]+)"', error), error.rsplit(maxsplit=1)[-1] if error.split() else ""]
    for word in words:
        for stage in dockerfile.stages:
            for instruction in (stage.from_instruction, *stage.instructions):
                if word and word in instruction.text:
                    return instruction.line
    return None


def _look_at(line: int | None, log: Sequence[str]) -> str:
    if line:
        return f"Mend line {line} of the Dockerfile" + ("; the log's last lines say why." if log else ".")
    return "Mend the Dockerfile."
