"""How much does it weigh?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.course.units import ByteSize, human_size

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.engine.image import Image


class Size(Check):
    """The image's uncompressed content stays within a limit, and so does what it adds to its base image."""

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: small
  check: size
  max: 220MB
  over_base: 30MB
  points: 25
"""

    reason: ClassVar[str] = "Every machine that runs the app pulls the image first, and waits for each megabyte of it."
    advice: ClassVar[str] = "`docker history IMAGE` shows what each line adds; look at the line named above first."

    looks_at: ClassVar[str] = (
        "The bytes of all files in all layers of the image, uncompressed, also of those that a later line "
        "deletes. What came with the base image is told apart from what your own lines add."
    )

    check: Literal["size"]
    max: ByteSize | None = field(default=None, description="What the whole image may weigh.")
    over_base: ByteSize | None = field(default=None, description="What the Dockerfile may add to its base image.")
    full: ByteSize | None = field(default=None, description="Up to here an image earns all points; goes with `zero`.")
    zero: ByteSize | None = field(default=None, description="From here on it earns none; in between, its share.")

    def __post_init__(self) -> None:
        if (self.full is None) != (self.zero is None):
            raise ValueError("full and zero go together; give both, or max")
        if self.full is not None and self.max is not None:
            raise ValueError("max is a limit and full to zero a slope; give one of them")
        if self.full is not None and self.zero is not None and self.full >= self.zero:
            raise ValueError("zero is not more than full; make it more")
        if self.limit is None and self.over_base is None:
            raise ValueError("size has no limit; give it max, over_base or both, or full and zero")
        if self.limit is not None and self.over_base is not None and self.over_base > self.limit:
            raise ValueError(f"over_base is more than {'max' if self.full is None else 'full'}; make it less")

    @property
    def limit(self) -> int | None:
        """Bytes that the whole image may have to pass."""
        return self.max if self.full is None else self.full

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Limits are inclusive."""
        image = subject.image
        added = image.size - image.base_size
        fits = self.limit is None or image.size <= self.limit
        fits_over = self.over_base is None or added <= self.over_base
        evidence: dict[str, Any] = {
            "size": image.size,
            "base_size": image.base_size,
            "added": added,
            "max": self.limit,
        }
        got = (
            f"{human_size(image.size, unlike=self.limit)}, "
            f"{human_size(added, unlike=self.over_base)} of it over the base"
        )
        if fits and fits_over:
            return passed(expected=self.expectation(), got=got, **evidence)
        what, line = self._heaviest(image)
        credit = self._credit(image.size) if fits_over else 0.0
        return failed(expected=self.expectation(), got=f"{got}; {what}", line=line, credit=credit, **evidence)

    def _credit(self, size: int) -> float:
        if self.full is None or self.zero is None:
            return 0.0
        return max(0.0, min(1.0, (self.zero - size) / (self.zero - self.full)))

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
        parts = [f"at most {human_size(self.limit)}"] if self.limit is not None else []
        if self.zero is not None:
            parts.append(f"fewer points with every byte more, none from {human_size(self.zero)}")
        if self.over_base is not None:
            parts.append(f"at most {human_size(self.over_base)} over the base image")
        return ", ".join(parts)

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """What each line adds; the engine's own sum may be that of compressed layers."""
        return (
            hand.build(self.target),
            f"docker history {hand.IMAGE}",
            f"docker image inspect --format '{{{{.Size}}}}' {hand.IMAGE}",
        )
