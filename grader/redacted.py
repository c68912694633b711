"""Takes credentials out of whatever is told: messages, results, journals and logs are shown, sent and kept.

What a person types (`https://TOKEN@host/owner/repository`) and what git or an engine repeats of it is told without.
"""

from __future__ import annotations

import re

_GONE = "***"
# Up to the last `@` before a slash or a space, with a scheme before it. A user alone opens nothing (`ssh://git@host`),
# but over http it may be a token.
_USER = re.compile(r"\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^\s/?#\"'`<>]+)@(?=[^\s@])")
_PARAMETER = re.compile(
    r"(?P<name>[?&][\w.-]*(?:token|secret|passw|signature|credential|api_?key|[?&]sig)[\w.-]*=)[^&\s#\"'`<>]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """``text`` without passwords and tokens in its addresses."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\g<name>{_GONE}", _USER.sub(_without, text))


def _without(match: re.Match[str]) -> str:
    user, colon, _ = match["user"].partition(":")
    if not colon and "http" not in match["scheme"].lower():
        return match[0]
    kept = user if colon and "http" not in match["scheme"].lower() else _GONE
    return f"{match['scheme']}://{kept}{':' + _GONE if colon and kept != _GONE else ''}@"
