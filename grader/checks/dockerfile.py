"""What does the Dockerfile itself say?"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from grader.checks._instructions import InstructionPattern
from grader.checks._order import order_faults
from grader.checks._rules import Commands, Instructions
from grader.checks._stages import Stages, crossing, crossing_faults
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field, keys, names
from grader.course.suggest import listed
from grader.submission.policy import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks._stages import Fault
    from grader.checks.subject import Subject
    from grader.submission.dockerfile import Dockerfile as Parsed

#: Faults that are told in words; evidence holds all.
_TOLD = 3
_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Dockerfile(Check):
    """What the Dockerfile says: its stages and what crosses between them, its base images, its instructions.

    Only stages that the final image really needs are counted: one that nothing is taken from is decoration. A pattern
    for instructions is an instruction with whatever does not matter left out: `ADD`, `COPY requirements.txt`,
    `COPY --chown`, `ENV *PASSWORD*`, `RUN --mount=type=cache pip install`. Its words have to be among the sources of a
    COPY or ADD, the names of an ENV, ARG or LABEL, and one after the other in the command of a RUN, CMD, ENTRYPOINT or
    HEALTHCHECK; `*`, `?` and `[...]` mean what they mean in a shell.
    """

    of_files: ClassVar[bool] = True
    example: ClassVar[str] = """\
- id: two-stages
  check: dockerfile
  stages: {min: 2, named: true}
  copies_from: builder
  final_base: ["python:3.11-slim"]
  pinned: true
  order: [COPY requirements.txt, RUN pip wheel]
  instructions: {required: [USER], forbidden: [ADD, ENV *PASSWORD*]}
  run: {forbidden: ['pip install(?!.*--no-cache-dir)']}
  points: 15
"""

    reason: ClassVar[str] = (
        "The Dockerfile is what others read, build and change; the image shows only what came of it."
    )
    advice: ClassVar[str] = (
        "Look the instruction up in Docker's Dockerfile reference, then run `docker build` and see what has changed."
    )

    looks_at: ClassVar[str] = (
        "The text of your Dockerfile, as BuildKit reads it: stages, what they start from, what is copied from one "
        "into another, the order of lines. Stages that the final image does not need do not count."
    )

    check: Literal["dockerfile"]
    stages: Stages | None = field(default=None, description="Number and names of the stages.")
    copies_from_stage: bool = field(
        default=False, description="The final image takes files from an earlier stage, by COPY --from or a mount."
    )
    copies_from: Annotated[tuple[str, ...], Rule(before=_as_list, schema=_NAMES)] = field(
        default=(), description="The stage, or stages, from which the final image takes files, by name."
    )
    final_base: tuple[str, ...] = field(
        default=(), description="What the final stage may start from; `*` and `?` as in a shell."
    )
    pinned: bool = field(default=False, description="Every image is named with a tag other than latest, or a digest.")
    digest: bool = field(default=False, description="Every image is named with its digest.")
    order: tuple[InstructionPattern, ...] = field(
        default=(), description="Patterns for instructions whose first matches come in this order in their stage."
    )
    instructions: Instructions | None = field(
        default=None, description="Instructions that must or must not be there, by patterns."
    )
    commands: Commands | None = field(
        default=None, alias="run", description="What the commands of RUN must or must not contain."
    )

    def __post_init__(self) -> None:
        if not any(
            (
                *self._parts,
                self.copies_from_stage,
                self.copies_from,
                self.final_base,
                self.pinned,
                self.digest,
                self.order,
            )
        ):
            own = [key for key in keys(type(self)) if key not in names(Check)]
            raise ValueError(f"dockerfile asks for nothing; give it one of {', '.join(own)}")
        if len(self.order) == 1:
            raise ValueError("order has one pattern, and that is always in order; give it two or more")

    @property
    def _parts(self) -> tuple[Stages | Instructions | Commands, ...]:
        """What asks for something by fields of its own."""
        return tuple(part for part in (self.stages, self.instructions, self.commands) if part)

    def run(self, subject: Subject) -> Outcome:
        """Names everything that is not as it should be; the line is the first one's."""
        parsed = subject.dockerfile
        expected = self.expectation()
        faults = list(dict.fromkeys(self._faults(parsed)))
        if not faults:
            count, used = len(parsed.stages), len(parsed.used)
            aside = f", of which the image needs {used}" if used < count else ""
            got = f"{count} stage{'s' * (count != 1)}{aside}; the last starts from {parsed.base_image(parsed.final)}"
            return passed(expected=expected, got=got, line=parsed.final.line)
        got = "; ".join(what for what, _ in faults[:_TOLD])
        more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        return failed(
            expected=expected,
            got=got + more,
            line=faults[0][1],
            faults=[{"what": what, "line": line} for what, line in faults],
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = [*self.stages.expectation()] if self.stages else []
        if self.copies_from_stage and not self.copies_from:
            parts.append("files taken from an earlier stage")
        if self.copies_from:
            parts.append(f"files taken from the stage {listed(self.copies_from)}")
        if self.final_base:
            parts.append(f"a final stage from {' or '.join(self.final_base)}")
        if self.digest or self.pinned:
            parts.append("every image by its digest" if self.digest else "every image by a tag other than latest")
        if self.order:
            parts.append(f"{', then '.join(f'`{each}`' for each in self.order)}")
        parts += [words for part in (self.instructions, self.commands) if part for words in part.expectation()]
        return "; ".join(parts)

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The lines that are looked at, and the stages that a build goes through."""
        keywords = "FROM|COPY|ADD|RUN" if self.instructions is None and not self.order else "[A-Z]+"
        return (
            f"grep -niE '^ *({keywords}) ' Dockerfile",
            "docker build --progress=plain --no-cache . 2>&1 | grep -E '^#[0-9]+ \\['",
        )

    def _faults(self, parsed: Parsed) -> Iterator[Fault]:
        if self.stages:
            yield from self.stages.faults(parsed)
        if self.copies_from_stage and not crossing(parsed):
            yield "the final image takes nothing from an earlier stage", parsed.final.line
        yield from crossing_faults(parsed, self.copies_from)
        base = parsed.base_image(parsed.final)
        if self.final_base and not any(_is_image(base, wanted) for wanted in self.final_base):
            yield f"the final stage starts from {base}", parsed.chain(parsed.final)[0].line
        yield from self._loose(parsed)
        if self.order:
            yield from order_faults(parsed, self.order)
        for part in (self.instructions, self.commands):
            if part:
                yield from part.faults(parsed)

    def _loose(self, parsed: Parsed) -> Iterator[Fault]:
        """Images that may be others tomorrow."""
        for image, line in parsed.external_images():
            name, _, digest = image.partition("@")
            if self.digest and not digest:
                yield f"line {line} names {image} without a digest", line
            elif self.pinned and not digest and normalise(name).endswith(":latest"):
                means = "" if name.endswith(":latest") else ", which means latest"
                yield f"line {line} names {image}{means}", line


def _is_image(reference: str, wanted: str) -> bool:
    """Whether ``reference`` is an image as ``wanted`` names it; `python*` is one of any tag."""
    pattern = normalise(wanted)
    any_tag = "*" in wanted and ":" not in wanted.rpartition("/")[2] and "@" not in wanted
    return fnmatchcase(normalise(reference), pattern.removesuffix(":latest") + ":*" if any_tag else pattern)
