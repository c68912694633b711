"""`grader.result/1` as a JSON Schema, written from DESIGN.md, not from the code that it is held against."""

from __future__ import annotations

from typing import Any


def _exactly(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT = {"type": "string"}
_POINTS = {"type": "number", "minimum": 0}
_BYTES = {"type": "integer", "minimum": 0}
_LINE = _or_null({"type": "integer", "minimum": 1})
_DIGEST = {"type": "string", "pattern": "^sha256:"}
_FAULT = {"enum": ["learner", "author", "infrastructure"]}
_TEXTS = {"type": "array", "items": _TEXT}

_CHECK = _exactly(
    id=_TEXT,
    check=_TEXT,
    title=_TEXT,
    status={"enum": ["passed", "failed", "skipped", "error"]},
    fault=_or_null(_FAULT),
    score=_or_null(_POINTS),
    max_score=_POINTS,
    required={"type": "boolean"},
    bonus={"type": "boolean"},
    expected=_TEXT,
    got=_TEXT,
    why=_TEXT,
    hints=_TEXTS,
    line=_LINE,
    evidence={"type": "object"},
    duration=_POINTS,
)
_CHECK["allOf"] = [
    {"if": {"properties": {"status": {"const": "error"}}}, "then": {"properties": {"score": {"type": "null"}}}},
    {"if": {"properties": {"status": {"const": "failed"}}}, "then": {"properties": {"fault": {"const": "learner"}}}},
]
_LAYER = _exactly(line=_LINE, instruction=_TEXT, size=_BYTES, wasted=_BYTES)
_SECONDS = _or_null(_POINTS)
_WASTE = _exactly(path=_TEXT, size=_BYTES, added_line=_LINE, hidden_line=_LINE)
_IMAGE = _exactly(
    id=_DIGEST,
    size=_BYTES,
    base_size=_BYTES,
    wasted=_BYTES,
    layers={"type": "array", "items": _LAYER},
    base=_TEXT,
    base_line=_LINE,
    waste={"type": "array", "items": _WASTE, "maxItems": 20},
)
_STEP = _exactly(
    line=_LINE,
    instruction=_TEXT,
    stage=_TEXT,
    cached=_or_null({"type": "boolean"}),
    started=_SECONDS,
    duration=_SECONDS,
    exit_code=_or_null({"type": "integer"}),
    error=_TEXT,
    log=_TEXTS | {"maxItems": 20},
)
_NAMED_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_BUILD = _exactly(
    duration=_POINTS,
    steps={"type": "array", "items": _STEP},
    args=_NAMED_TEXTS,
    secrets=_TEXTS,
    network={"type": "boolean"},
)
_APP = _exactly(
    port={"type": "integer", "minimum": 1},
    path=_TEXT,
    env=_NAMED_TEXTS,
    memory=_BYTES,
    internet={"type": "boolean"},
    started_in=_SECONDS,
    log=_or_null(_TEXTS | {"maxItems": 20}),
)

RESULT = _exactly(
    schema={"const": "grader.result/1"},
    exercise=_TEXT,
    title=_TEXT,
    rubric_digest=_DIGEST,
    submission=_exactly(name=_TEXT, digest=_or_null(_DIGEST)),
    status={"enum": ["passed", "failed", "error"]},
    score=_or_null(_POINTS),
    max_score=_POINTS,
    pass_score=_POINTS,
    engine=_or_null(_exactly(name=_TEXT, version=_TEXT, platform=_TEXT, stand_ins=_TEXTS, missing_fences=_TEXTS)),
    image=_or_null(_IMAGE),
    phases={"type": "object", "additionalProperties": _POINTS},
    checks={"type": "array", "items": _CHECK},
    started={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    duration=_POINTS,
    problem=_or_null(_exactly(what=_TEXT, where=_TEXT, fix=_TEXT, fault=_FAULT, line=_LINE, log=_TEXTS)),
    notes=_TEXTS,
    build=_or_null(_BUILD),
    app=_or_null(_APP),
    hints_used={"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
)
RESULT["if"] = {"properties": {"status": {"const": "error"}}}
RESULT["then"] = {"properties": {"score": {"type": "null"}}}
RESULT["else"] = {"properties": {"score": {"type": "number"}}}
