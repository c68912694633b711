"""Every image that the suite builds and walks is streamed out of the engine as well: the two have to agree.

Layers stay until the suite ends and are then streamed all at once, each of them once: an export for every image would
take longer than the suite itself.
"""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from docker.errors import APIError

from grader.engine.api.stream import Stream
from grader.engine.content import export, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.engine.connect import Engine
    from grader.engine.content.layers import Entry, Layer


@dataclass
class Agreement:
    """What was walked: by its diff id each layer's entries and programs; and images that keep these layers alive."""

    engine: Engine
    walked: dict[str, tuple[Mapping[str, Entry], Mapping[str, str]]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def note(self, image: Mapping[str, Any], layers: tuple[Layer, ...]) -> None:
        """Remembers what was walked of an image, if there is anything new in it."""
        if self.engine.name == "podman":
            return  # It asks for the layers of an image that is loaded, so that none can be kept.
        new = [layer for layer in layers if layer.folder and layer.diff_id not in self.walked]
        if new and len(layers) == len({layer.diff_id for layer in layers if layer.folder}):
            self.kept.append(keep(self.engine, image))
            self.walked |= {layer.diff_id: (layer.entries, reading.programs(layer)) for layer in new}

    def disagreements(self) -> list[str]:
        """Layers, and names in them, of which walking and streaming do not say the same."""
        if not self.kept:
            return []
        client: Any = self.engine.client
        response = client._get(client._url("/images/get"), params={"names": self.kept}, stream=True)
        found, manifests = export.read(Stream(client._stream_raw_result(response, 1 << 20, decode=False)))
        assert len(manifests) == len(self.kept)
        streamed = {
            diff_id: found[path]
            for manifest in manifests
            for diff_id, path in zip(diff_ids(client, manifest), manifest["Layers"], strict=True)
        }
        assert self.walked.keys() <= streamed.keys()
        return [
            f"{diff_id}: /{name}: walked {here.get(name)}, streamed {there.get(name)}"
            for diff_id, walked in self.walked.items()
            for here, there in zip(walked, streamed[diff_id], strict=True)
            if here != there
            for name in sorted(here.keys() | there.keys())
            if here.get(name) != there.get(name)
        ]

    def close(self) -> None:
        for image in self.kept:
            with suppress(APIError):
                self.engine.client.remove_image(image, force=True)


def diff_ids(client: Any, manifest: Mapping[str, Any]) -> list[str]:
    """Of an image in an export; 20.10 calls its configuration `ID.json`, newer engines `blobs/sha256/ID`."""
    image_id = manifest["Config"].rpartition("/")[2].removesuffix(".json")
    diff_ids: list[str] = client.inspect_image(f"sha256:{image_id}")["RootFS"]["Layers"]
    return diff_ids


def keep(engine: Engine, image: Mapping[str, Any]) -> str:
    """A new image of the same layers, without the labels by which a grading removes its own.

    An engine that has all layers of an image does not ask for them when it is loaded.
    """
    layers = image["RootFS"]["Layers"]
    config = {"architecture": image["Architecture"], "os": image["Os"], "config": {}, "author": token_hex()}
    raw = json.dumps(config | {"rootfs": {"type": "layers", "diff_ids": layers}}).encode()
    name = sha256(raw).hexdigest()
    manifest = [
        {"Config": f"{name}.json", "RepoTags": None, "Layers": [f"{number}.tar" for number in range(len(layers))]}
    ]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in ((f"{name}.json", raw), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    client: Any = engine.client
    for line in client.load_image(buffer.getvalue()):
        assert "error" not in line, line
    return f"sha256:{name}"


@contextmanager
def watching(watched: Engine) -> Iterator[Agreement]:
    """Notes every image that is walked meanwhile; at the end nothing is left of it in the engine."""
    agreement = Agreement(watched)
    real = reading.read

    def read(engine: Engine, image: Mapping[str, Any], base_count: int = 0) -> tuple[Layer, ...]:
        layers = real(engine, image, base_count)
        if engine.endpoint == watched.endpoint:
            agreement.note(image, layers)
        return layers

    reading.read = read
    try:
        yield agreement
    finally:
        reading.read = real
        agreement.close()
