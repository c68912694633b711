"""Did the build use its secrets, and did it keep them out of the image?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from grader.checks import _hand as hand
from grader.checks._leak import Detector, Hit
from grader.checks._packaged import packaged
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.engine.image import Image

#: Finds that are told in a result; a secret in a thousand files is told as well by these.
_MOST_TOLD = 50


class Find(NamedTuple):
    """A secret that was found: what it is, where in the image, and the Dockerfile line that put it there."""

    hit: Hit
    place: str
    line: int | None

    @property
    def told(self) -> str:
        """In words, without the secret."""
        form = f" {self.hit.form}" if self.hit.form else ""
        return f"{self.hit.what} is in {self.place}{form}" + (f" (line {self.line})" if self.line else "")


class Secrets(Check):
    """The build used the secrets that the rubric gives it (`build: {secrets: {ID: TEXT}}`), and left none behind.

    Used means that a step of this build mounted it: steps that do are never taken from a cache. That its content had an
    effect is for other checks to ask: give `{fresh}` as its text, and ask for `{fresh.sha256}` where it should show.

    Left behind means: in a file of one of the Dockerfile's own layers, also one that a later layer deleted; in a name;
    in the environment, a build argument, a label or the history. As it is, in base64, hexadecimal or UTF-16,
    URL-encoded or backwards, and inside of gzip, zlib, bzip2, xz, zstd or ZIP. What looks like a key is known by the
    marks of its issuer; in the files of a Python or a Debian package it is the package's own.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: no-secret-left
  check: secrets
  secrets: [pip-token]
  points: 30
"""
    reason: ClassVar[str] = (
        "Whoever pulls an image can read every layer of it, its variables and its history: a secret in there is public."
    )
    advice: ClassVar[str] = (
        "Mount it for the one step that needs it: `RUN --mount=type=secret,id=...`; it is then in `/run/secrets/`."
    )

    looks_at: ClassVar[str] = (
        "Whether a step of the build mounted the secret, and whether it is still anywhere in the image: in a file "
        "of any layer, a variable, a build argument, a label or the history."
    )

    check: Literal["secrets"]
    secrets: tuple[str, ...] | None = field(
        default=None, description="Ids of build secrets that the build has to use. Default: all that the rubric gives."
    )
    search: bool = field(
        default=True, description="Whether the image is searched for secrets; `false` asks only whether they were used."
    )
    patterns: bool = field(
        default=True,
        description="Whether what looks like a key counts: of AWS, GitHub, Google, Slack, PyPI, others.",
    )

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Names what was not used and what was found where, never the secret itself."""
        wanted = self._wanted(subject)
        unused = [name for name in wanted if name not in subject.build.asked]
        finds = self._found(subject) if self.search else []
        if not unused and not finds:
            return passed(expected=self.expectation(), got=self._success(used=bool(wanted)))
        told = [f"the build did not ask for the secret `{name}`" for name in unused]
        told += [find.told for find in finds[:1]] + _more(len(finds) - 1)
        return failed(
            expected=self.expectation(),
            got="; ".join(told),
            line=next((find.line for find in finds if find.line), None),
            unused=unused,
            found=[find.told for find in finds[:_MOST_TOLD]],
            count=len(finds),
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        if self.secrets == ():
            return "no secret is left in the image"
        wanted = ", ".join(self.secrets) if self.secrets else "the secrets that it is given"
        return f"the build uses {wanted}" + (", and leaves no secret in the image" if self.search else "")

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """A build with a secret of your own, and the places where it must not be."""
        ids = self.secrets if self.secrets is not None else ("ID",)
        given = " ".join(f"--secret {hand.quoted(f'id={name},src=/tmp/secret.txt')}" for name in ids)
        lines = ["printf '%s' a-secret-of-mine > /tmp/secret.txt"] if ids else []
        lines.append(hand.build(self.target, options=f"--no-cache {given}".strip()))
        if self.search:
            lines.append(f"docker history --no-trunc {hand.IMAGE} | grep a-secret-of-mine")
            lines.append(f"docker image inspect {hand.IMAGE} | grep a-secret-of-mine")
            lines.append(f"mkdir /tmp/all && docker save {hand.IMAGE} | tar -xf - -C /tmp/all")
            lines.append(
                "find /tmp/all -type f -exec sh -c 'tar -xOf \"$0\" 2>/dev/null | grep -q a-secret && echo $0' {} ';'"
            )
        return tuple(lines)

    def _success(self, *, used: bool) -> str:
        if not self.search:
            return "used"
        return "used, and nowhere in the image" if used else "none found"

    def _found(self, subject: Subject) -> list[Find]:
        return list(dict.fromkeys(_finds(subject.image, Detector(_needles(subject), keys=self.patterns))))

    def _wanted(self, subject: Subject) -> tuple[str, ...]:
        wanted = tuple(subject.secrets) if self.secrets is None else self.secrets
        if unknown := [name for name in wanted if name not in subject.secrets]:
            raise RubricError(
                f"The check `{self.id}` names the secret `{unknown[0]}`, which the rubric does not give",
                f"Add it: `build: {{secrets: {{{unknown[0]}: token-{{fresh}}}}}}`.",
            )
        return wanted


def _more(count: int) -> list[str]:
    return [f"and {count} more {'find' if count == 1 else 'finds'}"] if count > 0 else []


def _needles(subject: Subject) -> dict[str, bytes]:
    """What to look for: of a secret that has the fresh value in it that alone, for it gives the rest away."""
    fresh = subject.fresh.encode()
    return {f"the secret `{name}`": fresh if fresh in value else value for name, value in subject.secrets.items()}


def _finds(image: Image, detector: Detector) -> Iterator[Find]:
    for find in (*_in_words(image, detector), *_in_names(image, detector), *_in_files(image, detector)):
        yield find._replace(place=_masked(find.place, detector))


def _in_files(image: Image, detector: Detector) -> Iterator[Find]:
    found = image.scan(detector.in_file)
    own = packaged(image, {place.path for place, hit in found if not hit.known})
    for (index, path), hit in found:
        if hit.known or path not in own:
            yield Find(hit, f"/{path}", image.origins[index].line)


def _in_names(image: Image, detector: Detector) -> Iterator[Find]:
    """In the names of files, and in what symlinks point to."""
    for index, layer in enumerate(image.layers[image.base_count :], start=image.base_count):
        texts = {path: f"{path}\n{entry.target}" for path, entry in layer.entries.items()}
        # All at once first: most images have thousands of names, and nothing in them.
        for path, text in texts.items() if detector.in_text("\n".join(texts.values())) else ():
            for hit in detector.in_text(text):
                yield Find(hit, f"the name of /{path}", image.origins[index].line)


def _in_words(image: Image, detector: Detector) -> Iterator[Find]:
    seen: set[tuple[str, int | None]] = set()
    for word in image.words:
        hits = detector.in_variable(word.name, word.text) if word.name else detector.in_text(word.text)
        for hit in hits:
            # The history tells most of it once more.
            if (hit.what, word.line) not in seen or word.line is None:
                seen.add((hit.what, word.line))
                yield Find(hit, word.place, word.line)


def _masked(place: str, detector: Detector) -> str:
    """A place whose own name may hold the secret."""
    return "".join("…" if detector.in_text(part) else part for part in re.split(r"([/ ])", place))
