"""How much does it weigh?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from grader.checks.base import Check, Outcome, failed, passed
from grader.course.units import ByteSize, human_size

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.engine.image import Image


class Size(Check):
    """The image's uncompressed content stays within a limit, and so does what it adds to its base image."""

    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: small
  check: size
  max: 220MB
  over_base: 30MB
  points: 25
"""

    reason: ClassVar[str] = "Every machine that runs the app pulls the image first, and waits for each megabyte of it."
    advice: ClassVar[str] = "`docker history IMAGE` shows what each line adds; look at the line named above first."

    check: Literal["size"]
    max: ByteSize | None = Field(default=None, description="What the whole image may weigh.")
    over_base: ByteSize | None = Field(default=None, description="What the Dockerfile may add to its base image.")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.max is None and self.over_base is None:
            raise ValueError("size has no limit; give it max, over_base or both")
        if self.max is not None and self.over_base is not None and self.over_base > self.max:
            raise ValueError("over_base is more than max; make it less")
        return self

    def run(self, subject: Subject) -> Outcome:
        """Limits are inclusive."""
        image = subject.image
        added = image.size - image.base_size
        fits = (self.max is None or image.size <= self.max) and (self.over_base is None or added <= self.over_base)
        evidence = {"size": image.size, "base_size": image.base_size, "added": added, "max": self.max}
        got = (
            f"{human_size(image.size, unlike=self.max)}, {human_size(added, unlike=self.over_base)} of it over the base"
        )
        if fits:
            return passed(expected=self.expectation(), got=got, **evidence)
        what, line = self._heaviest(image)
        return failed(expected=self.expectation(), got=f"{got}; {what}", line=line, **evidence)

    def _heaviest(self, image: Image) -> tuple[str, int | None]:
        """The line to look at first: the heaviest of the Dockerfile's own, or the FROM when its image is heavier."""
        own = max(image.own_layers, key=lambda layer: layer.size, default=None)
        over = self.over_base is not None and image.size - image.base_size > self.over_base
        if own is None or (not over and image.base_size >= own.size):
            base = image.origins[0] if image.origins else None
            line = base.line if base else None
            return f"the base image alone is {human_size(image.base_size)}", line
        where = f"line {own.line}" if own.line else "one layer"
        return f"{where} alone adds {human_size(own.size)}", own.line

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = [f"at most {human_size(self.max)}"] if self.max is not None else []
        if self.over_base is not None:
            parts.append(f"at most {human_size(self.over_base)} over the base image")
        return ", ".join(parts)
