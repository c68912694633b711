"""JSON on its way into files and logs."""

from __future__ import annotations

import json
from typing import Any

from grader.reports._workflow import harmless_json


def dumps(content: Any) -> str:
    """Indented, with a line feed at the end; ASCII only, so that no terminal or log encoding can spoil it."""
    return harmless_json(json.dumps(content, indent=2, allow_nan=False)) + "\n"
