"""Which instruction a step of BuildKit's is about, by the step's name: ``[builder 2/5] RUN make``.

The label is a platform, a stage or both, and missing for the only stage. A step that several builds wait for at the
same time is made once, and has the name that it had in the first of them: maybe another stage's, at another place.
Then the words tell. (moby/buildkit: ``frontend/dockerfile/dockerfile2llb``, ``solver/jobs.go``.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from grader.submission.policy import normalise
from grader.submission.stages import SCRATCH, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.submission.instructions import Instruction
    from grader.submission.stages import Dockerfile, Stage

_NAME = re.compile(r"\[(?P<label>[^\]]*?)\s*(?P<position>\d{1,9})/\d+\] (?P<words>.*)", re.DOTALL)
#: What a name shows otherwise than the Dockerfile has it: quotes, escapes, blanks, and the marks of a list.
_MARKS = re.compile(r"""[\s"'`\\\[\],]""")
#: From here on it shows the values of variables, and what heredocs hold.
_UNTOLD = re.compile(r"\$|<<")


class Place(NamedTuple):
    """A step of a stage; ``position`` counts from 1, up to ``total``."""

    stage: Stage
    position: int
    total: int
    instruction: Instruction


class Told(NamedTuple):
    """What a step's name says: itself as it is when nobody else builds the same, its label, and its instruction."""

    name: str
    label: str
    instruction: Instruction | None


def told(name: str, dockerfile: Dockerfile) -> Told:
    """What the step of that name is here; without instruction when it is no instruction's, or none of these."""
    match = _NAME.fullmatch(name)
    if not match:
        return Told(name, "", None)
    place = _find(dockerfile, match)
    if place and place.instruction.keyword == "FROM" and "@" not in place.stage.base:
        # What containerd's image store has found of it is of no use to whoever wrote a tag.
        match = _NAME.fullmatch(name := name.partition("@")[0]) or match
    if place is None:
        # Another's stage is nobody's business here.
        known = _labelled(match["label"], dockerfile)
        return Told(name, match["label"], None) if known else Told(match["words"], "", None)
    label, alone = place.stage.name or f"stage-{place.stage.index}", len(dockerfile.stages) == 1
    if int(match["position"]) == place.position and _stage_in(match["label"]) in {label, "" if alone else label}:
        return Told(name, match["label"], place.instruction)
    label = "" if alone else label
    own = f"[{f'{label} {place.position}'.strip()}/{place.total}] {match['words']}"
    return Told(own, label, place.instruction)


def _find(dockerfile: Dockerfile, match: re.Match[str]) -> Place | None:
    words, position, named = match["words"], int(match["position"]), _named(dockerfile, match)
    if named and _fit(named, words):
        return named
    fitting = [place for stage in dockerfile.stages for place in _places(stage, dockerfile) if _fit(place, words)]
    fitting.sort(key=lambda place: (_is_open(place), place.position != position))
    if named and _keyword(named.instruction) == _first(words) and (not fitting or _is_open(fitting[0])):
        # The front end may have been given other words for it than the learner's.
        return named
    return fitting[0] if fitting else None


def _named(dockerfile: Dockerfile, match: re.Match[str]) -> Place | None:
    """What is at the place that the name tells, whatever it is."""
    stage = _labelled(match["label"], dockerfile)
    places = _places(stage, dockerfile) if stage else ()
    return next((place for place in places if place.position == int(match["position"])), None)


def _labelled(label: str, dockerfile: Dockerfile) -> Stage | None:
    name = _stage_in(label)
    if not name:
        return dockerfile.final
    stage = next((stage for stage in reversed(dockerfile.stages) if stage.name == name), None)
    number = re.fullmatch(r"stage-(\d{1,5})", name)
    if stage or not number or int(number[1]) >= len(dockerfile.stages):
        return stage
    return dockerfile.stages[int(number[1])]


def _stage_in(label: str) -> str:
    """The stage that a label names, "" when it is about the only one."""
    # A platform always holds a slash and a stage's name never does.
    return next((word.lower() for word in reversed(label.split()) if "/" not in word), "")


def _places(stage: Stage, dockerfile: Dockerfile) -> Iterator[Place]:
    """The steps of a stage. FROM is one only on an image: neither on ``scratch`` nor on an earlier stage."""
    steps: list[Instruction] = []
    if stage.parent is not None:
        # The parent's triggers fire before the first instruction and are counted.
        parent = dockerfile.stages[stage.parent].instructions
        steps += [each for each in parent if each.trigger and each.trigger.keyword in STEPS]
    elif stage.base != SCRATCH:
        steps.append(stage.from_instruction)
    steps += [each for each in stage.instructions if each.keyword in STEPS]
    return (Place(stage, position, len(steps), each) for position, each in enumerate(steps, start=1))


def _fit(place: Place, words: str) -> bool:
    """Whether a name with these words may be of the instruction, as far as its text tells."""
    instruction = place.instruction
    if _keyword(instruction) != _first(words):
        return False
    if instruction.keyword == "FROM":
        image = words.split()[1] if len(words.split()) > 1 else ""
        return normalise(image.partition("@")[0]) == normalise(place.stage.base.partition("@")[0])
    text = _text(instruction)
    shown = _MARKS.sub("", words.removeprefix("ONBUILD "))[len(_first(words)) :]
    return shown.startswith(text) if _is_open(place) else shown == text


def _text(instruction: Instruction) -> str:
    """The instruction's text without its keyword, as far as a name shows the same."""
    return _MARKS.sub("", _UNTOLD.split((instruction.trigger or instruction).text)[0])[len(_keyword(instruction)) :]


def _is_open(place: Place) -> bool:
    return bool(_UNTOLD.search(place.instruction.text))


def _keyword(instruction: Instruction) -> str:
    return (instruction.trigger or instruction).keyword


def _first(words: str) -> str:
    return next(iter(words.removeprefix("ONBUILD ").split()), "").upper()
