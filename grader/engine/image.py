"""An image as it is, read from outside: its layers, its files, its sizes and its configuration.

Sizes are bytes of uncompressed content, summed layer by layer by us: what the engine calls `Size` changes its meaning
with the image store.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from grader.course.units import human_size
from grader.engine.api import sdk
from grader.engine.content import contents, overlay, reading, words
from grader.engine.content import scan as scanning
from grader.engine.content.layers import is_whiteout, looks_deleted
from grader.engine.content.merge import merge, resolve
from grader.engine.content.origin import LAYERED, Origin, align, keyword
from grader.engine.faults.refusal import AppError
from grader.engine.podman import libpod
from grader.errors import EngineError, GraderError, SubmissionError
from grader.result import ImageResult, LayerResult, WasteResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.content.layers import Layer
    from grader.engine.content.merge import FinalFile, Merged
    from grader.engine.content.scan import Look, Place
    from grader.engine.content.words import Word
    from grader.submission.dockerfile import Dockerfile

T = TypeVar("T")
#: Bytes that `Image.read` takes from one file at most.
READ_LIMIT = 32 << 20
#: Files that a result names of those that ship in vain.
_WASTE_TOLD = 20


class Waste(NamedTuple):
    """A file that ships in vain: one instruction added its bytes, a later one deleted or overwrote it.

    Whoever only changes a file's mode or owner overwrites it: the layer has it a second time.
    """

    path: str
    size: int
    added: Origin
    hidden: Origin


class Image:
    """A built image. Everything is read once, on first use."""

    def __init__(self, engine: Engine, image_id: str, dockerfile: Dockerfile, labels: Mapping[str, str]) -> None:
        """``labels`` mark the container that `read` may need."""
        self.id = image_id
        self._engine = engine
        self._dockerfile = dockerfile
        self._labels = dict(labels)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What the engine's inspect says of it."""
        return inspect(self._engine, self.id)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The configuration: Env, Cmd, Entrypoint, User, ... (OCI image specification, config.md)."""
        return {**(self.facts.get("Config") or {}), **libpod.image_config(self._engine, self.id)}

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, lowest first."""
        layers = reading.read(self._engine, self.facts, self.base_count)
        # A folder tells a whiteout from a file that only has its name; a tar does not.
        own = [layer for layer in layers[self.base_count :] if layer.folder is None]
        forged = next((name for layer in own for name in layer.entries if is_whiteout(name)), None)
        if forged is None and any(layer.hides for layer in own):
            forged = contents.first_whiteout(self._engine, self.id, self._labels)
        if forged is not None:
            raise looks_deleted(forged)
        return layers

    @cached_property
    def programs(self) -> Mapping[int, Mapping[str, str]]:
        """The compilers in the Dockerfile's own layers: index of the layer -> path -> what it is (`programs.TEXTS`).

        What a later layer deleted or overwrote is among them.
        """
        found = {index: reading.programs(layer) for index, layer in enumerate(self.layers) if index >= self.base_count}
        return {index: programs for index, programs in found.items() if programs}

    @cached_property
    def base_count(self) -> int:
        """How many of the lowest layers are the base image's."""
        reference = self._dockerfile.base_image(self._dockerfile.final)
        if reference == "scratch":
            return 0
        below = inspect(self._engine, reference)["RootFS"].get("Layers") or []
        if self.facts["RootFS"]["Layers"][: len(below)] != below:
            raise EngineError(
                f"The image does not begin with the layers of {reference}, from which its Dockerfile starts",
                "Somebody may have replaced that base image meanwhile; grade again.",
                where=self.id,
            )
        return len(below)

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def base_size(self) -> int:
        """Bytes of the base image's layers."""
        return sum(layer.size for layer in self.layers[: self.base_count])

    @cached_property
    def own_layers(self) -> tuple[LayerResult, ...]:
        """The layers that the Dockerfile added, lowest first."""
        wasted = Counter[int]()
        for hidden in self._merged.waste:
            wasted[hidden.added] += hidden.size
        return tuple(
            LayerResult(origin.line, origin.instruction, self.layers[index].size, wasted[index])
            for index, origin in enumerate(self.origins)
            if index >= self.base_count
        )

    @property
    def wasted(self) -> int:
        """Bytes that one of the Dockerfile's own layers added and a later one deleted or overwrote."""
        return sum(hidden.size for hidden in self._merged.waste)

    @cached_property
    def waste(self) -> tuple[Waste, ...]:
        """Every file that makes up `wasted`, in the order in which they were hidden."""
        origins = self.origins
        return tuple(
            Waste(hidden.path, hidden.size, origins[hidden.added], origins[hidden.hidden])
            for hidden in self._merged.waste
        )

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """For each layer the instruction that made it; base layers belong to the FROM of the outermost stage."""
        outer = self._dockerfile.chain(self._dockerfile.final)[0].from_instruction
        base = Origin(outer.line, outer.text)
        own = [size.size for size in self.layers[self.base_count :]]
        instructions = [i for i in self._dockerfile.final_instructions() if i.keyword in LAYERED]
        made = align(instructions, own, self._history_sizes)
        return (base,) * self.base_count + made

    def _history_sizes(self) -> list[int]:
        """What the engine says each layer-making step above the base added, oldest first."""
        client: Any = self._engine.client
        history = client.history(self.id)[::-1]
        made = [item for item in history if keyword(item.get("CreatedBy", "")) in LAYERED]
        count = sum(1 for i in self._dockerfile.final_instructions() if i.keyword in LAYERED)
        return [int(item.get("Size") or 0) for item in made[-count:]] if count else []

    @cached_property
    def _merged(self) -> Merged:
        return merge(self.layers, self.base_count)

    @property
    def files(self) -> Mapping[str, FinalFile]:
        """The final file system: posix paths relative to the root -> what is there."""
        return self._merged.files

    def resolve(self, path: str) -> str | None:
        """Where ``path`` leads, symlinks followed; None when nothing is there or the symlinks go round in a circle."""
        return resolve(self.files, path)

    def line_of(self, path: str) -> int | None:
        """The Dockerfile line that put ``path`` there; for what the base image brought, the line of its FROM."""
        found = self.files.get(path)
        return self.origins[found.layer].line if found else None

    def from_base(self, path: str) -> bool:
        """Whether the base image brought ``path``."""
        found = self.files.get(path)
        return found is not None and found.layer < self.base_count

    def below(self, path: str) -> str | None:
        """Where ``path`` leads in the base image; None when nothing is there."""
        return resolve(merge(self.layers[: self.base_count], self.base_count).files, path)

    def replaced(self, path: str) -> bool:
        """Whether the base image had something at ``path`` that the Dockerfile deleted or put another thing over."""
        below = self.below(path)
        return below is not None and (self.resolve(path) != below or not self.from_base(below))

    def check_accounts(self) -> None:
        """Raises ``AppError`` when looking a user up would block the engine, which opens these files unseen."""
        for name in ("etc/passwd", "etc/group"):
            real = self.resolve(name)
            if real is not None and self.files[real].entry.kind == "special":
                raise AppError(f"/{name} is no regular file, so no user can be looked up in it", "Leave it a file.")

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of regular files; missing ones are left out.

        They come from the layer's folder on the engine's own machine, else from a container that never starts. Raises
        ``EngineError`` when the engine cannot give them, ``SubmissionError`` when one of the learner's is huge.
        """
        wanted = {path: real for path in paths if (real := self.resolve(path)) is not None and self._readable(real)}
        found = {real: data for real in set(wanted.values()) if (data := self._from_folder(real)) is not None}
        elsewhere = set(wanted.values()) - found.keys()
        if elsewhere:
            found |= contents.fetch(self._engine, self.id, self._labels, elsewhere)
        return {path: found[real] for path, real in wanted.items() if real in found}

    def _from_folder(self, path: str) -> bytes | None:
        folder = self.layers[self.files[path].layer].folder
        return overlay.content(folder, path) if folder is not None else None

    def scan(self, look: Look[T]) -> list[tuple[Place, T]]:
        """What ``look`` makes of each regular file that the Dockerfile's own layers hold, deleted ones too."""
        return scanning.scan(self._engine, self.id, self.layers, self.base_count, look)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The texts that the Dockerfile left in the configuration and in the history."""
        client: Any = self._engine.client
        reference = self._dockerfile.base_image(self._dockerfile.final)
        below = 0 if reference == "scratch" else len(client.history(reference))
        history = [str(made.get("CreatedBy") or "") for made in reversed(client.history(self.id))][below:]
        base = {} if reference == "scratch" else inspect(self._engine, reference).get("Config") or {}
        return tuple(words.own(self.config, base, history, self._dockerfile.final_instructions()))

    def _readable(self, path: str) -> bool:
        """Whether it is a regular file; a huge one raises."""
        found = self.files.get(path)
        if found is None or found.entry.kind not in ("file", "link"):
            return False
        entry = found.entry
        if entry.kind == "link":
            entry = self.layers[found.layer].entries.get(entry.target, entry)
        if entry.size > READ_LIMIT:
            raise self._too_large(path, entry.size)
        return True

    def _too_large(self, path: str, size: int) -> GraderError:
        """Left out it would hide what is in it: a list of packages, say. The learner's own file is theirs to mend."""
        what = f"/{path} has {human_size(size)}, and files of more than {human_size(READ_LIMIT)} are not read"
        if self.from_base(path):
            return EngineError(what, "Use another base image.", where=self.id)
        line = self.line_of(path)
        return SubmissionError(what, "Let the image hold a smaller one.", where=f"Dockerfile:{line}", line=line)

    @property
    def result(self) -> ImageResult:
        """How this image is told in a result."""
        outer = self._dockerfile.chain(self._dockerfile.final)[0]
        largest = sorted(self.waste, key=lambda waste: -waste.size)[:_WASTE_TOLD]
        return ImageResult(
            id=self.id,
            size=self.size,
            base_size=self.base_size,
            wasted=self.wasted,
            layers=self.own_layers,
            base=outer.base,
            base_line=outer.line,
            waste=tuple(WasteResult(each.path, each.size, each.added.line, each.hidden.line) for each in largest),
        )


def inspect(engine: Engine, reference: str) -> Mapping[str, Any]:
    """What the engine says of an image; raises ``EngineError`` when it has none of that name."""
    client: Any = engine.client
    try:
        facts: Mapping[str, Any] = client.inspect_image(reference)
    except sdk.errors.ImageNotFound as error:
        raise EngineError(
            f"The engine has no image {reference}", "Somebody may have removed it meanwhile; grade again."
        ) from error
    return facts
