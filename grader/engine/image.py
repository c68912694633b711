"""An image as it is, read from outside: its layers, its files, its sizes and its configuration.

Sizes are bytes of uncompressed content, summed layer by layer by us: what the engine calls `Size` changes its meaning
with the image store.
"""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound, NotFound

from grader.course.units import human_size
from grader.engine import layers as layer_reading
from grader.engine.app import AppError
from grader.engine.layers import Entry
from grader.errors import EngineError, GraderError, SubmissionError
from grader.result import ImageResult, LayerResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.layers import Layer
    from grader.submission.dockerfile import Dockerfile, Instruction

#: The kernel gives up on a path after 40 symlinks; so do we.
_MOST_SYMLINKS = 40
#: What the kernel shows of a process; its `root` is the root again.
_PROCESS_ROOT = re.compile(r"proc/(?:self|thread-self|\d+)(?:/task/\d+)?(?:/root)?")
#: Bytes that `Image.read` takes from one file at most.
READ_LIMIT = 32 << 20
#: The instructions that add a layer.
_LAYERED = ("RUN", "COPY", "ADD", "WORKDIR")


@dataclass(frozen=True)
class FinalFile:
    """A name in the final file system; ``layer`` is the index of the layer it comes from."""

    entry: Entry
    layer: int


@dataclass(frozen=True)
class Origin:
    """The instruction that made a layer, as far as it can be told."""

    line: int | None
    instruction: str


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
        return self.facts.get("Config") or {}

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, lowest first."""
        layers = layer_reading.read(self._engine, self.facts)
        own = layers[self.base_count :]
        # On the engine's own machine the folders told a whiteout from a file that only has its name.
        if any(entry.kind == "whiteout" for layer in own for entry in layer.entries.values()) and not self._is_walked:
            forged = layer_reading.forged_whiteouts(self._engine, self.id, self._labels)
            if forged is not None:
                raise layer_reading.looks_deleted(forged)
        return layers

    @property
    def _is_walked(self) -> bool:
        return layer_reading.is_walked(self._engine, self.facts)

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

    @property
    def own_layers(self) -> tuple[LayerResult, ...]:
        """The layers that the Dockerfile added, lowest first."""
        return tuple(
            LayerResult(origin.line, origin.instruction, self.layers[index].size, self._merged.wasted.get(index, 0))
            for index, origin in enumerate(self.origins)
            if index >= self.base_count
        )

    @property
    def wasted(self) -> int:
        """Bytes that one of the Dockerfile's own layers added and a later one deleted or overwrote."""
        return sum(layer.wasted for layer in self.own_layers)

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """For each layer the instruction that made it; base layers belong to the FROM of the outermost stage."""
        outer = self._dockerfile.chain(self._dockerfile.final)[0].from_instruction
        base = Origin(outer.line, outer.text)
        own = [size.size for size in self.layers[self.base_count :]]
        instructions = [i for i in self._dockerfile.final_instructions() if i.keyword in _LAYERED]
        made = _align(instructions, own, self._history_sizes)
        return (base,) * self.base_count + made

    def _history_sizes(self) -> list[int]:
        """What the engine says each layer-making step above the base added, oldest first."""
        client: Any = self._engine.client
        history = client.history(self.id)[::-1]
        made = [item for item in history if _keyword(item.get("CreatedBy", "")) in _LAYERED]
        count = sum(1 for i in self._dockerfile.final_instructions() if i.keyword in _LAYERED)
        return [int(item.get("Size") or 0) for item in made[-count:]] if count else []

    @cached_property
    def _merged(self) -> _Merged:
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

    def check_accounts(self) -> None:
        """Raises ``AppError`` when looking a user up would block the engine, which opens these files unseen."""
        for name in ("etc/passwd", "etc/group"):
            real = self.resolve(name)
            if real is not None and self.files[real].entry.kind == "special":
                raise AppError(f"/{name} is no regular file, so no user can be looked up in it", "Leave it a file.")

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of regular files, read from a container that never starts; missing ones are left out.

        Raises ``EngineError`` when the engine cannot give them, ``SubmissionError`` when one of the learner's is huge.
        """
        wanted = {path: real for path in paths if (real := self.resolve(path)) is not None}
        if not wanted:
            return {}
        client = self._engine.client
        # As root: Podman looks the user up even for a container that never starts.
        options: dict[str, Any] = {"command": ["/"], "user": "0", "labels": self._labels, "network_disabled": True}
        container = client.create_container(self.id, **options)["Id"]
        try:
            return {
                path: content for path, real in wanted.items() if (content := self._fetch(container, real)) is not None
            }
        finally:
            with suppress(APIError):
                client.remove_container(container, force=True, v=True)

    def _fetch(self, container: str, path: str) -> bytes | None:
        found = self.files.get(path)
        if found is None:
            return None
        entry = found.entry
        if entry.kind == "link":
            entry = self.layers[found.layer].entries.get(entry.target, entry)
        if entry.kind not in ("file", "link"):
            return None
        if entry.size > READ_LIMIT:
            raise self._too_large(path, entry.size)
        client: Any = self._engine.client
        try:
            chunks, _ = client.get_archive(container, f"/{path}".encode(errors="surrogateescape"))
        except NotFound:
            return None
        content = b"".join(chunks)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = next((m for m in archive if m.isreg()), None)
            file = archive.extractfile(member) if member else None
            return file.read() if file else None

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
        return ImageResult(self.id, self.size, self.base_size, self.wasted, self.own_layers)


def inspect(engine: Engine, reference: str) -> Mapping[str, Any]:
    """What the engine says of an image; raises ``EngineError`` when it has none of that name."""
    client: Any = engine.client
    try:
        facts: Mapping[str, Any] = client.inspect_image(reference)
    except ImageNotFound as error:
        raise EngineError(
            f"The engine has no image {reference}", "Somebody may have removed it meanwhile; grade again."
        ) from error
    return facts


@dataclass(frozen=True)
class _Merged:
    files: Mapping[str, FinalFile]
    wasted: Mapping[int, int]


def merge(layers: Sequence[Layer], base_count: int) -> _Merged:
    """Lays the layers over one another; ``wasted`` holds, by layer index, bytes that a later layer hid again."""
    files: dict[str, FinalFile] = {}
    wasted: dict[int, int] = {}

    def hide(name: str) -> None:
        gone = files.pop(name)
        if gone.layer >= base_count and gone.entry.size:
            wasted[gone.layer] = wasted.get(gone.layer, 0) + gone.entry.size

    for index, layer in enumerate(layers):
        for name in list(_hidden(files, layer.entries)):
            hide(name)
        for name, entry in layer.entries.items():
            if entry.kind == "whiteout":
                continue
            if name in files:
                hide(name)
            files[name] = FinalFile(entry, index)
        _add_folders(files, layer.entries, index)
    return _Merged(files, wasted)


def _add_folders(files: dict[str, FinalFile], names: Iterable[str], index: int) -> None:
    """Directories that a layer leaves out although it has files in them, as some image builders do."""
    for name in names:
        folder = name
        while (folder := folder.rpartition("/")[0]) and folder not in files and name in files:
            files[folder] = FinalFile(Entry("dir", mode=0o755), index)


def _hidden(files: Mapping[str, FinalFile], entries: Mapping[str, Entry]) -> Iterator[str]:
    """The names that a layer takes away from what lies below it."""
    emptied = {name for name, entry in entries.items() if entry.opaque}
    # Whatever is no directory any more (deleted, or replaced by a file) takes all that was below it along.
    gone = {
        name
        for name, entry in entries.items()
        if entry.kind == "whiteout" or (entry.kind != "dir" and name in files and files[name].entry.kind == "dir")
    }
    if not emptied and not gone:
        return
    for name in files:
        if name in gone and entries[name].kind == "whiteout":
            yield name
            continue
        folder = name
        while folder := folder.rpartition("/")[0]:
            if folder in gone or folder in emptied:
                yield name
                break


def resolve(files: Mapping[str, FinalFile], path: str) -> str | None:
    """Follows symlinks, component by component, inside ``files`` only."""
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        if _PROCESS_ROOT.fullmatch("/".join([*done, part])):
            done = [] if part == "root" else [*done, part]
            continue
        name = "/".join([*done, part])
        found = files.get(name)
        if found is None:
            return None
        if found.entry.kind == "symlink":
            followed += 1
            if followed > _MOST_SYMLINKS:
                return None
            if found.entry.target.startswith("/"):
                done = []
            todo.extend([p for p in found.entry.target.split("/") if p not in ("", ".")][::-1])
        else:
            done.append(part)
    return posixpath.join(*done) if done else ""


def _align(
    instructions: Sequence[Instruction], sizes: Sequence[int], history: Callable[[], list[int]]
) -> tuple[Origin, ...]:
    """Ties layers to instructions; an engine may leave out the layer of an instruction that changed nothing."""
    if len(instructions) != len(sizes):
        # BuildKit makes no folder for `WORKDIR /`, and so no layer; any other WORKDIR has one, if an empty one.
        made = [
            i
            for i in instructions
            if not (i.keyword == "WORKDIR" and posixpath.normpath(" ".join(i.args)) in ("/", "//"))
        ]
        instructions = made if len(made) == len(sizes) else instructions
    if len(instructions) != len(sizes):
        grown = history()
        if len(grown) == len(instructions):
            instructions = [i for i, size in zip(instructions, grown, strict=True) if size]
    if len(instructions) != len(sizes):
        return (Origin(None, ""),) * len(sizes)
    return tuple(Origin(instruction.line, instruction.text) for instruction in instructions)


def _keyword(created_by: str) -> str:
    """The instruction of a history entry, in BuildKit's form (`RUN /bin/sh -c ...`) or the classic one."""
    text = created_by.removeprefix("/bin/sh -c #(nop)").strip()
    word = text.partition(" ")[0]
    return word if word.isupper() else "RUN"
