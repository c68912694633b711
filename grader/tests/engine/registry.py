"""A registry of one tiny image on 127.0.0.1, which Docker talks to without TLS, and which can be made to fail."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from grader import scratch
from grader.engine import leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Of what one process of the suite has in the engine: no other removes it, and no grading takes it for a dead run's.
LABELS = {leftovers.RUN: f"test-{os.getpid()}", leftovers.OWNER: scratch.owner(os.getpid())}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def layer(content: bytes = b"from the registry") -> bytes:
    """A tar of one small file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo("grader-test")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Registry:
    """What the registry answers.

    ``faults`` are (status, error code) of the next questions about a manifest; when none is left it behaves, and
    while ``silent`` is set it does not answer at all. With a ``meeting`` it answers the first questions about as many
    images as that has parties when all of them were asked.
    """

    def __init__(self, architecture: str, content: bytes) -> None:
        unpacked = layer(content)
        packed = gzip.compress(unpacked, mtime=0)
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Labels": LABELS},
                "rootfs": {"type": "layers", "diff_ids": [_digest(unpacked)]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": _digest(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(packed),
                        "digest": _digest(packed),
                    }
                ],
            }
        ).encode()
        self.manifest = manifest
        self.blobs = {_digest(blob): blob for blob in (config, packed)}
        self.faults: list[tuple[int, str]] = []
        #: Whether the first of them has been told of a manifest's headers, and not yet of the manifest.
        self.headed = False
        #: While it is set, no more than half of a layer is sent.
        self.halved = threading.Event()
        self.silent = threading.Event()
        self.closing = threading.Event()
        self.meeting: threading.Barrier | None = None
        self.met: set[str] = set()
        self.host = ""


@contextmanager
def serving(architecture: str, content: bytes = b"from the registry") -> Iterator[Registry]:
    """A registry that answers at ``host`` until the block ends; ``content`` is that of its image's only file."""
    registry = Registry(architecture, content)
    server = _Server(registry)
    registry.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        registry.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: Registry) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Who begins with TLS is told in HTTP that it is none, as real registries do; engines go on without it then.
    default_request_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry = self.server.registry
        if registry.silent.is_set():
            registry.closing.wait(30)
            self.close_connection = True
        elif "/manifests/" in self.path:
            self._manifest(registry)
        elif "/blobs/" in self.path:
            self._blob(registry, registry.blobs[self.path.rpartition("/")[2]])
        else:
            self._answer(200, b"{}", "application/json")

    def _blob(self, registry: Registry, blob: bytes) -> None:
        if registry.halved.is_set() and self.command == "GET" and not blob.startswith(b"{"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(blob)))
            self.end_headers()
            self.wfile.write(blob[: len(blob) // 2])
            self.close_connection = True
        else:
            self._answer(200, blob, "application/octet-stream")

    def _manifest(self, registry: Registry) -> None:
        name = self.path.partition("/manifests/")[0]
        if registry.meeting is not None and name not in registry.met:
            registry.met.add(name)
            registry.meeting.wait(30)
        # Docker asks for a manifest's headers, and then for the manifest: a fault is over once it was sent in full.
        # containerd asks for headers alone: it is over when they are asked for again.
        if registry.headed and self.command == "HEAD":
            registry.faults = registry.faults[1:]
        registry.headed = bool(registry.faults) and self.command == "HEAD"
        if not registry.faults:
            self._answer(200, registry.manifest, _MANIFEST)
            return
        status, code = registry.faults[0] if self.command == "HEAD" else registry.faults.pop(0)
        body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
        self._answer(status, body, "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if "/manifests/" in self.path:
            self.send_header("Docker-Content-Digest", _digest(body))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing: a test's output is the test's."""
