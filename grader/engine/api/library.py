"""The Docker client library's own client, with a limit on every call: it has none where it streams or imports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests
from docker import APIClient

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that an engine may be silent while it sends or takes an image: it may write all of it to its disk first.
SILENCE = 300.0
#: Seconds that all of it may take.
WHOLE = 1800.0


class Library(APIClient):
    """Used as what it is made of is; a call that takes too long raises ``requests.Timeout``."""

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        if kwargs.get("stream") or kwargs.get("timeout", 0) is None:
            kwargs["timeout"] = kwargs.get("timeout") or SILENCE
        kwargs.setdefault("timeout", self.timeout)
        return kwargs

    def _stream_raw_result(self, response: Any, chunk_size: int = 1, decode: Any = True) -> Iterator[bytes]:  # noqa: FBT002
        self._raise_for_status(response)  # type: ignore[attr-defined]  # its stubs leave that out
        until = time.monotonic() + WHOLE
        for piece in response.iter_content(chunk_size, decode):
            yield piece
            if time.monotonic() > until:
                raise requests.ReadTimeout("the engine did not send all of it in time")
