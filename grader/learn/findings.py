"""What a failed check found, as a hint: facts of the learner's own image and Dockerfile, never what to do about them.

Each teller reads a verdict as `grader.result/1` has it, so that hints are made without an engine, from the last result.
A rubric that keeps something for itself (`show`) has left no evidence there, and then nothing is told.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from grader.course.units import human_size
from grader.submission import dockerfile as dockerfiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grader.learn.progress import Last
    from grader.submission.dockerfile import Dockerfile

    Verdict = Mapping[str, Any]

#: Of one text that a hint quotes, in characters, and how many of several things it names.
_LONG = 160
_MANY = 5
#: Lines of a log that say what went wrong in their first words.
_ERROR = re.compile(r"^\s*(?:\S*: )?(?:\w+(?:\.\w+)*(?:Error|Exception)\b|E:|ERROR\b|error:|fatal\b|.*\bnot found\b)")


class Finding(NamedTuple):
    """A fact. ``key`` is the same for the same fact with other numbers, so that it is told once."""

    key: str
    text: str


def findings(last: Last, verdict: Verdict) -> list[Finding]:
    """What is worth telling of a failed check, in the order to tell it; nothing where nothing was found."""
    evidence = verdict.get("evidence") or {}
    if not evidence:
        return []
    tell = _TELLERS.get(str(verdict.get("check")), _of_any)
    try:
        return [finding for finding in tell(last, verdict) if finding.text]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        # Another package's check of the same name, or an older grader's result: the rubric's hints are left.
        return []


def _of_size(last: Last, verdict: Verdict) -> Iterator[Finding]:
    image, size = last.result["image"], verdict["evidence"]["size"]
    parsed = _parsed(last)
    if parsed:
        yield Finding(
            "base", f"{_final_base(parsed)}: {human_size(image['base_size'])} of base, of {human_size(size)}."
        )
    own = max(image["layers"], key=lambda layer: layer["size"], default=None)
    # A tenth of the image is worth a look; less than that is not where its weight comes from.
    if own and own["size"] * 10 >= size:
        more = human_size(own["size"])
        yield Finding("heaviest", f"Of your own instructions, {_layer(own)} adds the most: {more}.")
    wasted = max(image["layers"], key=lambda layer: layer["wasted"], default=None)
    if wasted and wasted["wasted"]:
        lost = human_size(wasted["wasted"])
        yield Finding("wasted", f"Of what {_layer(wasted)} adds, a later line deletes or overwrites {lost}. They ship.")


def _of_layers(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    for number, pair in enumerate(verdict["evidence"]["waste"][:2]):
        paths = ", ".join(f"{each['path']} ({human_size(each['size'])})" for each in pair["paths"][:_MANY])
        added, hidden = pair["added"]["line"], pair["hidden"]["line"]
        yield Finding(f"waste-{number}", f"Added in line {added}, gone or changed in line {hidden}: {_cut(paths)}.")


def _of_absent(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    places, count = verdict["evidence"]["found"], verdict["evidence"]["count"]
    if count > 1:
        more = f" and {count - _MANY} more" if count > _MANY else ""
        yield Finding("places", f"They lie in {', '.join(map(_cut, places[:_MANY]))}{more}.")


def _of_dockerfile(last: Last, verdict: Verdict) -> Iterator[Finding]:
    parsed = _parsed(last)
    if parsed:
        stages = [
            f"line {stage.line} starts from `{_cut(stage.base)}`"
            + (f" and is called `{stage.name}`" if stage.name else ", without a name")
            for stage in parsed.stages
        ]
        count = f"{len(stages)} stage{'s' * (len(stages) != 1)}"
        yield Finding("stages", f"Your Dockerfile has {count}: {'; '.join(stages[:_MANY])}.")
    rest = [f"{each['what']}" + (f" (line {each['line']})" if each["line"] else "") for each in _faults(verdict)[3:]]
    yield Finding("faults", f"There is more than was told: {'; '.join(rest[:_MANY])}." if rest else "")


def _of_cache(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    ran = verdict["evidence"].get("ran") or []
    if ran:
        yield Finding("first", f"The first step that ran again is {_cut(ran[0])}. Each step below it had to follow.")


def _of_stop(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    evidence = verdict["evidence"]
    if evidence.get("pid_1"):
        yield Finding("pid-1", f"In your container {_cut(evidence['pid_1'])} gets {evidence['signal']}.")
    yield from _of_any(_last, verdict)


def _of_process(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    seen = [
        f"PID {each['pid']} is {_cut(each['program'] or '?')}, user {each['users'][1]}"
        + (f", listening on {', '.join(map(str, each['ports']))}" if each["ports"] else "")
        for each in verdict["evidence"]["processes"]
    ]
    yield Finding("processes", f"These run in your container: {'; '.join(seen[:_MANY])}." if seen else "")
    yield from _of_any(_last, verdict)


def _of_health(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    evidence = verdict["evidence"]
    codes = ", ".join(str(each["exit_code"]) for each in evidence["runs"][-_MANY:])
    command = " ".join(evidence["healthcheck"])
    yield Finding("runs", f"Your HEALTHCHECK runs `{_cut(command)}`; its last exit codes were {codes}.")


def _of_context(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    largest = [_one(each) for each in verdict["evidence"].get("largest") or ()]
    yield Finding("largest", f"The largest files that are sent: {', '.join(largest[:_MANY])}." if largest else "")


def _of_secrets(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    found = verdict["evidence"]["found"][1:]
    yield Finding("more", f"Also: {'; '.join(map(_cut, found[:_MANY]))}." if found else "")


def _of_config(last: Last, verdict: Verdict) -> Iterator[Finding]:
    evidence = verdict["evidence"]
    told = {name: evidence[name] for name in ("User", "WorkingDir", "Entrypoint", "Cmd") if evidence.get(name)}
    words = ", ".join(f"{name} {_cut(value)}" for name, value in told.items())
    yield Finding("config", f"`docker inspect` says of your image: {words}." if words else "")
    yield from _of_any(last, verdict)


def _of_command(last: Last, verdict: Verdict) -> Iterator[Finding]:
    evidence = verdict["evidence"]
    for stream in ("stderr", "stdout"):
        said = str(evidence.get(stream) or "").strip().splitlines()
        if said:
            yield Finding(stream, f"The last that it wrote to {stream}: {_cut(said[-1])}")
    yield from _of_any(last, verdict)


def _of_any(_last: Last, verdict: Verdict) -> Iterator[Finding]:
    """What a log says went wrong; a program's own words, often some lines above its end."""
    evidence = verdict["evidence"]
    log = [str(line) for line in evidence.get("log") or evidence.get("app_log") or ()]
    telling = [line for line in log if _ERROR.search(line)]
    if telling:
        yield Finding("log", f"Of the log, this line tells most: {_cut(telling[-1].strip())}")


_TELLERS: dict[str, Callable[[Last, Verdict], Iterator[Finding]]] = {
    "size": _of_size,
    "layers": _of_layers,
    "absent": _of_absent,
    "dockerfile": _of_dockerfile,
    "cache": _of_cache,
    "stop": _of_stop,
    "process": _of_process,
    "health": _of_health,
    "context": _of_context,
    "secrets": _of_secrets,
    "config": _of_config,
    "command": _of_command,
}


def _parsed(last: Last) -> Dockerfile | None:
    try:
        return dockerfiles.parse("\n".join(last.dockerfile).encode(errors="replace"))
    except dockerfiles.DockerfileError:
        return None


def _final_base(parsed: Dockerfile) -> str:
    """Where the final image starts from: its stage's own FROM, or that of the stage which it is built upon."""
    first = parsed.chain(parsed.final)[0]
    through = "" if first is parsed.final else f" through line {parsed.final.line}"
    return f"Your final stage starts from line {first.line}{through}, `{_cut(first.base)}`"


def _layer(layer: Mapping[str, Any]) -> str:
    instruction = f"`{_cut(layer['instruction'])}`"
    return f"line {layer['line']}, {instruction}," if layer["line"] else instruction


def _faults(verdict: Verdict) -> list[Mapping[str, Any]]:
    return list(verdict["evidence"].get("faults") or ())


def _one(each: Any) -> str:
    path, size = each
    return f"{_cut(path)} ({human_size(size)})"


def _cut(text: object) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= _LONG else f"{words[:_LONG]}…"
