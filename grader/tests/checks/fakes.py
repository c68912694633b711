"""Subjects made of nothing: an image of layers, a build of steps, an app of answers."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import yaml

from grader.checks import types
from grader.checks.subject import Parts, Subject, Workshop
from grader.course.model import validated
from grader.engine.build import Build
from grader.engine.content.layers import Entry, Layer
from grader.engine.content.origin import Origin
from grader.engine.content.scan import Place
from grader.engine.image import Image
from grader.engine.running.namespace import Answer
from grader.running import Part
from grader.submission import dockerfile as dockerfiles
from grader.submission.context import pack
from grader.submission.files import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grader.checks.base import Check, Outcome
    from grader.engine.content.scan import Look
    from grader.engine.running.app import App
    from grader.engine.trace import Step
    from grader.errors import SubmissionError

T = TypeVar("T")
FRESH = "0123456789abcdef"


def check(text: str, **more: Any) -> Check:
    """A check from its YAML: ``check("check: size, max: 1MB")``."""
    fields = {"id": "it", "points": 1} | yaml.safe_load("{" + text + "}") | more
    return validated(types()[fields["check"]], fields)


def file(size: int = 1, mode: int = 0o644) -> Entry:
    return Entry("file", size, mode)


def program(size: int = 1) -> Entry:
    return file(size, 0o755)


def link(target: str) -> Entry:
    return Entry("symlink", 0, 0o777, target=target)


FOLDER = Entry("dir", 0, 0o755)
GONE = Entry("whiteout")


class FakeImage(Image):
    """The real reading of layers, on layers that were made up; line 1 is the FROM, layer N comes from line N + 1."""

    def __init__(
        self,
        layers: Sequence[Mapping[str, Entry]],
        base: int = 0,
        content: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.id = "sha256:fake"
        own = [Origin(number + 2, f"RUN {number}") for number in range(len(layers) - base)]
        self.__dict__ |= {
            "layers": tuple(Layer(str(number), _with_folders(entries)) for number, entries in enumerate(layers)),
            "base_count": base,
            "config": config or {},
            "origins": (*[Origin(1, "FROM base")] * base, *own),
            "words": (),
        }
        self._content = content or {}

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        return {path: self._content[path].encode() for path in paths if path in self.files and path in self._content}

    def scan(self, look: Look[T]) -> list[tuple[Place, T]]:
        shown = [path for path in self._content if path in self.files]
        return [
            (Place(self.files[path].layer, path), what)
            for path in shown
            for what in look(iter([self._content[path].encode()]))
        ]


def _with_folders(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """As every layer that BuildKit makes, this one has the folders of its files."""
    above = {
        "/".join(parts[:count]) for path in entries if (parts := path.split("/")) for count in range(1, len(parts))
    }
    return dict.fromkeys(sorted(above), FOLDER) | dict(entries)


class FakeApp:
    """Answers with what it is told to, or what a function makes of the request."""

    port = 5000

    def __init__(self, answer: Answer | Callable[..., Answer]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        self.asked.append((method, path, options))
        return self._answer if isinstance(self._answer, Answer) else self._answer(method, path, **options)

    def log(self) -> tuple[str, ...]:
        return ("the app's last words",)


class FakeWorkshop:
    """Builds again, to these steps or this failure; the image of each stage is that of ``stages``."""

    def __init__(
        self,
        steps: Sequence[Step] = (),
        failure: SubmissionError | None = None,
        stages: Mapping[str, Subject] | None = None,
    ) -> None:
        self.built: list[tuple[Mapping[str, bytes], dict[str, Any]]] = []
        self._steps, self._failure = tuple(steps), failure
        self._stages = {} if stages is None else stages

    def rebuild(self, changes: Mapping[str, bytes], **options: Any) -> Build:
        self.built.append((changes, options))
        if self._failure:
            raise self._failure
        return Build("sha256:again", self._steps, 0.1)

    def stage(self, name: str) -> Subject:
        return self._stages[name]


def answer(body: Any = "", status: int = 200, **more: Any) -> Answer:
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Answer(status=status, body=raw, elapsed=0.001, **more)


def subject(
    *,
    dockerfile: str = "FROM base\n",
    steps: Sequence[Step] = (),
    duration: float = 1.0,
    image: Image | None = None,
    app: FakeApp | None = None,
    files: Mapping[str, File] | None = None,
    workshop: object = None,
    folder: Path = Path(),
) -> Subject:
    made = {"Dockerfile": File(dockerfile.encode())} | dict(files or {})
    return Subject(
        FRESH,
        Parts(
            files=Part(lambda: made),
            dockerfile=Part(lambda: dockerfiles.parse(dockerfile.encode())),
            context=Part(lambda: pack(made)),
            build=Part(lambda: Build("sha256:fake", tuple(steps), duration)),
            image=Part(lambda: image or FakeImage([{}])),
            app=Part(lambda: cast("App", app or FakeApp(answer()))),
        ),
        workshop=cast("Workshop", workshop),
        folder=folder,
        starter=folder / "starter",
    )


def broken(error: Exception, folder: Path = Path()) -> Subject:
    """Of which no part can be made."""

    def fail() -> Any:
        raise error

    parts = Parts(Part(fail), Part(fail), Part(fail), Part(fail), Part(fail), Part(fail))
    stages: dict[str, Subject] = defaultdict(lambda: made)
    workshop = cast("Workshop", FakeWorkshop(stages=stages))
    made: Subject = Subject(FRESH, parts, workshop, folder, folder / "starter")
    return made


def on_image(
    text: str, *layers: Mapping[str, Entry], base: int = 0, content: Mapping[str, str] | None = None
) -> Outcome:
    """What a check finds in an image of these layers, the first ``base`` of which are the base image's."""
    return check(text).run(subject(image=FakeImage(layers, base, content)))
