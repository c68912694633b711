"""BuildKit's trace: what each step of a build was, took, said and failed with.

The engine sends it as base64 of the protobuf message ``moby.buildkit.v1.StatusResponse`` (``api/services/control/
control.proto`` in moby/buildkit). A step's state comes from BuildKit itself: nothing that a RUN prints can forge it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from grader.submission.steps import told

if TYPE_CHECKING:
    from grader.submission.dockerfile import Dockerfile

#: Bytes of a step's log that are kept: the end, where the reason of a failure stands.
LOG_LIMIT = 256 * 1024

# "exit code: N" from a runc that ran the command; the first form is Engine 20.10's, the second that of newer ones.
_EXIT_CODE = re.compile(r"(?:executor failed running|did not complete successfully).*exit code: (\d+)", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One step of a build. ``duration`` is in seconds and None while it runs; ``line`` None where no line asked for it.

    ``cached`` is None on an engine that does not tell it in a way that can be trusted. ``started`` is in seconds, by
    the engine's clock; None before the start, or when the engine does not tell.
    """

    name: str
    line: int | None
    instruction: str
    stage: str
    cached: bool | None
    duration: float | None
    error: str
    exit_code: int | None
    log: str = field(repr=False)
    started: float | None = None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of its log, at most 20."""
        return tuple(self.log.splitlines()[-20:])


class Vertex:
    """A node of BuildKit's graph, as far as it is known by now."""

    def __init__(self) -> None:
        """Nothing is known of it yet."""
        self.name = ""
        self.cached = False
        self.started: float | None = None
        self.completed: float | None = None
        self.error = ""
        self.log = b""
        self.progress = ""

    @property
    def running(self) -> bool:
        """Whether BuildKit works on it now."""
        return self.started is not None and self.completed is None


class Trace:
    """Collects the trace of one build, message by message."""

    def __init__(self) -> None:
        """Starts empty."""
        self.vertices: dict[str, Vertex] = {}

    def feed(self, encoded: str) -> list[Vertex]:
        """Takes one message in; returns the vertices that it says something new about. Raises ValueError."""
        message = _decoded(encoded)
        touched = {}
        for news in message.vertexes:
            touched[news.digest] = self._update(news)
        for status in message.statuses:
            vertex = self.vertices.setdefault(status.vertex, Vertex())
            vertex.progress = _bytes_done(status)
            touched[status.vertex] = vertex
        for entry in message.logs:
            vertex = self.vertices.setdefault(entry.vertex, Vertex())
            vertex.log = (vertex.log + entry.msg)[-LOG_LIMIT:]
            touched[entry.vertex] = vertex
        return list(touched.values())

    def _update(self, news: Any) -> Vertex:
        vertex = self.vertices.setdefault(news.digest, Vertex())
        vertex.name = news.name
        vertex.cached = vertex.cached or news.cached
        vertex.error = news.error or vertex.error
        # A vertex may start and stop several times: from the first start to the last stop is what a person waited.
        if news.HasField("started") and vertex.started is None:
            vertex.started = _seconds(news.started)
        vertex.completed = _seconds(news.completed) if news.HasField("completed") else None
        return vertex

    def steps(self, dockerfile: Dockerfile) -> tuple[Step, ...]:
        """The steps in the order in which BuildKit met them, tied to the lines of ``dockerfile``."""
        return tuple(as_step(vertex, dockerfile) for vertex in self.vertices.values() if vertex.name)


def prepare() -> None:
    """Imports what reads the trace, about 0.03 s; worth doing while BuildKit is at work."""
    _status_response()


def _decoded(encoded: str) -> Any:
    from google.protobuf.message import DecodeError  # noqa: PLC0415  # see `prepare`

    try:
        return _status_response().FromString(base64.b64decode(encoded))
    except DecodeError as error:
        raise ValueError("the engine's trace cannot be read") from error


def as_step(vertex: Vertex, dockerfile: Dockerfile) -> Step:
    """What is known of ``vertex`` by now."""
    name, label, instruction = told(vertex.name, dockerfile)
    code = _EXIT_CODE.search(vertex.error)
    took = vertex.completed - vertex.started if vertex.completed and vertex.started else None
    return Step(
        name=name,
        line=instruction.line if instruction else None,
        instruction=instruction.text if instruction else name,
        stage=label,
        cached=vertex.cached,
        duration=max(took, 0.0) if took is not None else None,
        error=vertex.error,
        exit_code=int(code[1]) if code else None,
        log=vertex.log.decode(errors="replace"),
        started=vertex.started,
    )


def _bytes_done(status: Any) -> str:
    return f"{status.ID} {status.current / 1e6:.1f} of {status.total / 1e6:.1f} MB" if status.total else status.ID


def _seconds(timestamp: Any) -> float:
    return float(timestamp.seconds + timestamp.nanos / 1e9)


@cache
def _status_response() -> Any:
    """The message type, declared here so that no generated code has to be shipped and kept in step with protobuf's.

    Two threads may come here at once: to declare the same again changes nothing.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2  # noqa: PLC0415

    kinds = descriptor_pb2.FieldDescriptorProto
    stamp = ".google.protobuf.Timestamp"
    file = descriptor_pb2.FileDescriptorProto(
        name="grader/buildkit_status.proto",
        package="grader.buildkit",
        syntax="proto3",
        dependency=[timestamp_pb2.DESCRIPTOR.name],
    )
    messages: dict[str, list[tuple[int, str, int, str, bool]]] = {
        "Vertex": [
            (1, "digest", kinds.TYPE_STRING, "", False),
            (2, "inputs", kinds.TYPE_STRING, "", True),
            (3, "name", kinds.TYPE_STRING, "", False),
            (4, "cached", kinds.TYPE_BOOL, "", False),
            (5, "started", kinds.TYPE_MESSAGE, stamp, False),
            (6, "completed", kinds.TYPE_MESSAGE, stamp, False),
            (7, "error", kinds.TYPE_STRING, "", False),
        ],
        "VertexStatus": [
            (1, "ID", kinds.TYPE_STRING, "", False),
            (2, "vertex", kinds.TYPE_STRING, "", False),
            (3, "name", kinds.TYPE_STRING, "", False),
            (4, "current", kinds.TYPE_INT64, "", False),
            (5, "total", kinds.TYPE_INT64, "", False),
        ],
        "VertexLog": [
            (1, "vertex", kinds.TYPE_STRING, "", False),
            (2, "timestamp", kinds.TYPE_MESSAGE, stamp, False),
            (3, "stream", kinds.TYPE_INT64, "", False),
            (4, "msg", kinds.TYPE_BYTES, "", False),
        ],
        "StatusResponse": [
            (1, "vertexes", kinds.TYPE_MESSAGE, ".grader.buildkit.Vertex", True),
            (2, "statuses", kinds.TYPE_MESSAGE, ".grader.buildkit.VertexStatus", True),
            (3, "logs", kinds.TYPE_MESSAGE, ".grader.buildkit.VertexLog", True),
        ],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind, type_name, repeated in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            message.field.add(
                name=field_name,
                number=number,
                type=kind,
                label=label,
                type_name=type_name or None,
            )
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("grader.buildkit.StatusResponse"))
