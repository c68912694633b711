"""The verdict as one page, complete in itself: nothing is fetched, no script runs, and every picture is told in words.

Its content security policy (W3C, CSP Level 3, in a `meta` element) allows the page's own style sheet, by its hash, and
nothing else: what a learner's program printed could not load or start anything even if it became markup.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from grader.course.units import human_size, human_time
from grader.reports import _pictures as pictures
from grader.reports import _words
from grader.reports._byhand import by_hand
from grader.reports._listing import listing
from grader.reports._visible import visible
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_TEMPLATES = Path(__file__).parent / "templates"
_WORD = {Status.PASSED: "Passed", Status.FAILED: "Not passed", Status.ERROR: "Not graded"}
#: What the icon in the browser's tab is filled with.
_COLOUR = {Status.PASSED: "#1a7f4b", Status.FAILED: "#c0362c", Status.ERROR: "#a86a00"}
#: What the page may load: an icon that is written in it. Its style sheet is added by its hash.
POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
#: Evidence that has its own place in a check.
_PLACED = {"log", "app_log", "fix", "where", "blocked_by", "traceback"}
#: Names under which evidence gives bytes.
_BYTES = {"size", "base_size", "added", "max", "wasted", "body_size", "over_base", "limit", "total"}
#: Characters beyond which a text gets a box that scrolls.
_LONG = 1500


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """One HTML document; ASCII only, so that no terminal or log encoding can spoil it."""
    page = environment().get_template("report.html.j2").render(_content(result, telling))
    out.write(page.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def _content(result: GradeResult, telling: Telling) -> dict[str, Any]:
    style = _style()
    image = result.image
    return {
        "result": result,
        "style": Markup(style),  # noqa: S704  # our own file
        "policy": f"{POLICY}; style-src {hashed(style)}",
        "icon_url": icon(result.status),
        "word": _WORD[result.status],
        "sentence": _sentence(result),
        "score": pictures.score(result),
        "told": _words.untold(result) is None,
        "lines": listing(result, telling.dockerfile),
        "layers": pictures.layers(result),
        "added": image.size - image.base_size if image else 0,
        "moments": pictures.moments(result.build),
        "by_hand": by_hand(result),
        "count": _counts(result),
    }


def _sentence(result: GradeResult) -> str:
    """What the verdict means, and what is lacking."""
    if result.status is Status.ERROR:
        if result.fault is Fault.AUTHOR:
            return "This is not your fault, and it costs you no points: the exercise itself is at fault."
        return "This is not your fault, and it costs you no points: the engine, its network or the grader failed."
    blocked = [check.title for check in result.checks if check.required and check.status is not Status.PASSED]
    required = f"Required, and not met: {'; '.join(blocked)}." if blocked else ""
    if result.status is Status.PASSED:
        return ""
    lacking = result.pass_score - (result.score or 0)
    # With a selection of checks (`--only`) the points to pass are not what it takes.
    if lacking > 0 and result.pass_score <= result.max_score:
        return f"{lacking:g} more are needed to pass. {required}".rstrip()
    return required


def _counts(result: GradeResult) -> Mapping[str, int]:
    """How many steps of the Dockerfile's own there are, and how many of them came from the cache."""
    own = [step for step in (result.build.steps if result.build else ()) if step.line is not None]
    work = [step for step in own if not step.instruction.upper().startswith("FROM")]
    return {"steps": len(work), "cached": sum(step.cached is True for step in work)}


# --- what templates may ask -------------------------------------------------------------------------------------------


@cache
def environment() -> Environment:
    """Everything that a template prints is made visible and escaped; what it does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": human_size, "time": human_time, "took": _took, "points": "{:g}".format}
    environment.filters |= {"with_code": _with_code, "grouped": _grouped}
    environment.tests |= {"text": _is_text, "many": _is_many, "bytes_in": _is_bytes, "long": _is_long}
    environment.globals |= {"evidence_of": _evidence, "log_of": _log}
    return environment


def _finalized(value: Any) -> Any:
    return _escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _escaped(text: str) -> Markup:
    """``text`` to be seen in the page, and no command to a workflow in whose log the page may end (`_workflow`)."""
    return Markup(escape(visible(text)).replace("::", "&#58;&#58;").replace("##[", "&#35;#["))  # noqa: S704  # escaped


def _evidence(check: CheckResult) -> dict[str, Any]:
    """What was measured, without what is shown elsewhere in the check."""
    return {name: value for name, value in check.evidence.items() if name not in _PLACED and value not in (None, "")}


def _log(check: CheckResult) -> list[str]:
    """What the build or the app printed, where a check says it; our own traceback when the fault is ours."""
    given = check.evidence.get("log") or check.evidence.get("app_log") or check.evidence.get("traceback") or []
    return given.splitlines() if isinstance(given, str) else [str(line) for line in given]


def _with_code(text: str) -> Markup:
    """What stands between backticks is set as code, as rubrics and messages mean it."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _escaped(text)
    plain, code = Markup("{}"), Markup("<code>{}</code>")
    return Markup().join((code if odd % 2 else plain).format(_escaped(part)) for odd, part in enumerate(parts))


def _took(seconds: float) -> str:
    return human_time(seconds) if seconds >= 0.0005 else "under 1 ms"


def _grouped(number: float) -> str:
    """Digits in groups of three, divided by narrow spaces that do not break."""
    return f"{number:,}".replace(",", "\u202f")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_many(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_bytes(value: Any, name: str) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and name in _BYTES and value >= 1000


def _is_long(value: Any) -> bool:
    return len(value) > _LONG


def _style() -> str:
    return inline("report.css")


@cache
def inline(*names: str) -> str:
    """Files of ours, as they stand together in an element of the page, byte for byte: the policy names their hash."""
    text = "\n\n".join((_TEMPLATES / name).read_text(encoding="ascii").strip() for name in names)
    assert "</" not in text  # noqa: S101  # nothing may end the element early
    return f"\n{text}\n"


def hashed(text: str) -> str:
    """How a policy names a text that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def icon(status: Status) -> str:
    """A picture for the browser's tab, written in its address."""
    mark = {Status.PASSED: "M9 17l5 5 9-12", Status.FAILED: "M10 10l12 12M22 10L10 22"}.get(status, "M16 8v10M16 23v1")
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" '
        f'fill="{_COLOUR[status]}"/><path d="{mark}" fill="none" stroke="#fff" stroke-width="4" '
        f'stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawn)}"
