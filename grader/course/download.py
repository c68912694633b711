"""One file from an address, bounded in size and in patience, and never from a less safe address than the one given."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from grader.errors import EngineError, GraderError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 16


def save(url: str, file: Path, *, limit: int, silence: float) -> str:
    """Writes what is at ``url`` to ``file``; returns its SHA-256 digest, in hex.

    ``limit`` is in bytes, ``silence`` in seconds. Raises UsageError when there is nothing or too much, EngineError when
    it is not reached.
    """
    digest, size = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "image-grader"})  # noqa: S310  # http or https, see below
    try:
        with _opener(url).open(request, timeout=silence) as answer, file.open("wb") as out:
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise _too_large(url, limit)
                digest.update(chunk)
                out.write(chunk)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(url, error.code) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise EngineError(
            f"The archive of the course is not reached: {' '.join(str(reason).split())[:200]}",
            "Check the network and the address, and try again.",
            where=url,
        ) from error
    return digest.hexdigest()


def _too_large(url: str, limit: int) -> UsageError:
    return UsageError(f"The archive of the course has more than {limit >> 20} MB", "Is that a course?", where=url)


def _refused(url: str, code: int) -> GraderError:
    what = f"The server of the course's archive answers with {code}"
    if code == 429 or code >= 500:
        return EngineError(what, "Try again later.", where=url)
    return UsageError(what, "Check the address, and that it can be read without a login.", where=url)


class _NoStepDown(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request: urllib.request.Request, *rest: Any) -> urllib.request.Request | None:
        target = str(rest[-1]).lower()
        if not target.startswith("https://") and not (request.type == "http" and target.startswith("http://")):
            if rest[0] is not None:
                rest[0].close()
            raise UsageError("The archive's server sends to an address that is not safe", "Name another.", where=target)
        return super().redirect_request(request, *rest)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Speaks http and https only: nothing of this machine, whatever a server says."""
    opener = urllib.request.OpenerDirector()
    kinds: list[type[urllib.request.BaseHandler]] = [
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, urllib.request.UnknownHandler,
        _NoStepDown,
    ]  # fmt: skip
    for kind in kinds:
        opener.add_handler(kind())
    if not url.startswith(("https://", "http://")):
        raise UsageError("That is no address of an archive", "Write one that begins with https://.", where=url)
    return opener
