"""A learner's worst, put into every field of a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a browser, a style sheet or a template could take for more than text. Each sets `owned` if it ever runs.
CORPUS = {
    "script": "<script>window.owned=1;document.title='owned'</script>",
    "end of style": "</style><script>window.owned=1</script><style>*{display:none!important}",
    "end of title": "</title></head><body onload=window.owned=1>",
    "end of text": "]]></svg></pre></code></details></main></body></html><h1>owned</h1>",
    "comment": "<!--><script>window.owned=1</script>-->",
    "double quotes": '" autofocus onfocus="window.owned=1" style="position:fixed;inset:0',
    "single quotes": "' onmouseover='window.owned=1' x='",
    "image": "<img src=x onerror=window.owned=1><img src=http://127.0.0.1:9/leak>",
    "drawing": "<svg onload=window.owned=1><animate onbegin=window.owned=1></svg><math><mtext></mtext></math>",
    "frame": "<iframe srcdoc='<script>parent.owned=1</script>'></iframe><base href=http://127.0.0.1:9/>",
    "refresh": "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><link rel=stylesheet href=//127.0.0.1:9>",
    "address": "javascript:window.owned=1",
    "template": "{{ 7 * 7 }}{% raw %}{{ config }}{# #}",
    "references": "&lt;script&gt; &#60;script&#62; &amp;amp; &nosuch; &",
    "directions": "\u202eevil\u202d \u2066hidden\u2069 \u200f\u200b\u200d\ufeff\u2028\u2029",
    "control": "\x00\x01\x08\x0b\x0c\x1b[31mred\x1b[0m\x1b]0;title\x07\x7f\x9b31m\x85",
    "no characters": "\ud800 \udfff \ufffe \uffff \U0010ffff \ue000",
    "lines": "one\r\ntwo\rthree\n\tfour",
    "backticks": "`<b>` ` `",
    "marks": "Z\u0301\u0302\u0303\u0304\u0305" * 20,
    "long line": "x" * 10_000,
    "long words": "<b>y</b> " * 300,
}


def poisoned(result: Any, text: str) -> tuple[Any, dict[str, str]]:
    """``result`` with ``text`` and a mark of its own in every text, and where each of these marks is."""
    marks: dict[str, str] = {}

    def mark(path: str) -> str:
        name = f"mark{len(marks):04}end"
        marks[name] = path
        return f"{name} {text}"

    return changed(result, mark), marks


def changed(value: Any, text_at: Callable[[str], str], path: str = "result") -> Any:
    """The same, with another text for each; what the code tells cases apart by stays: a status, a type of check."""
    holds_texts = isinstance(value, str | tuple | list | Mapping) or _is_record(value)
    if isinstance(value, Enum) or not holds_texts:
        return value
    if isinstance(value, str):
        return value if path.endswith(".check") or not value else text_at(path)
    if isinstance(value, Mapping):
        return {_key(key, path, text_at): changed(inner, text_at, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(changed(inner, text_at, f"{path}[]") for inner in value)
    names = [field.name for field in dataclasses.fields(value)]
    return dataclasses.replace(value, **{n: changed(getattr(value, n), text_at, f"{path}.{n}") for n in names})


def _key(key: str, path: str, text_at: Callable[[str], str]) -> str:
    """Evidence has its own names for some things, and a page goes by them; all others are free."""
    known = {"log", "app_log", "fix", "where", "found", "request", "requests", "blocked_by", "traceback", "max"}
    return key if path.endswith("evidence") and key in known else text_at(path)


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
