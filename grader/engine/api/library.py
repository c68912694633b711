"""The Docker client library's own client, held to what it leaves open.

It has no limit where it streams or imports, and it hands on whatever an engine answers.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from docker import APIClient

from grader.engine.api.client import has

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that an engine may be silent while it sends or takes an image: it may write all of it to its disk first.
SILENCE = 300.0
#: Seconds that all of it may take.
WHOLE = 1800.0
#: Calls that have no answer but that it was done: an engine that has something to say has not done it.
_SILENT = re.compile(r"(?:POST .*/containers/[^/]+/(?:start|kill)|DELETE .*/containers/[^/]+)")


class Library(APIClient):
    """Used as what it is made of is.

    A call that takes too long raises ``requests.Timeout``, and an answer that makes no sense
    ``requests.RequestException``, as `Client` does.
    """

    def inspect_image(self, image: Any) -> Any:
        """ImageInspect."""
        found = super().inspect_image(image)  # type: ignore[no-untyped-call]  # its stubs leave the types out
        return has(found, ("Id", "RootFS"), "the inspection of an image")

    def inspect_container(self, container: Any) -> Any:
        """ContainerInspect."""
        return has(super().inspect_container(container), ("Id", "State"), "the inspection of a container")

    def images(self, *what: Any, **options: Any) -> Any:
        """ImageList."""
        return has(super().images(*what, **options), None, "the listing of images")

    def containers(self, *what: Any, **options: Any) -> Any:
        """ContainerList."""
        return has(super().containers(*what, **options), None, "the listing of containers")

    def _raise_for_status(self, response: requests.Response) -> None:
        super()._raise_for_status(response)  # type: ignore[misc]  # its stubs leave that out
        asked = f"{response.request.method} {urlsplit(response.request.url or '').path}"
        if _SILENT.fullmatch(asked) and response.content:
            has("", None, asked)

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        if kwargs.get("stream") or kwargs.get("timeout", 0) is None:
            kwargs["timeout"] = kwargs.get("timeout") or SILENCE
        kwargs.setdefault("timeout", self.timeout)
        return kwargs

    def _stream_raw_result(self, response: Any, chunk_size: int = 1, decode: Any = True) -> Iterator[bytes]:  # noqa: FBT002
        self._raise_for_status(response)
        until = time.monotonic() + WHOLE
        for piece in response.iter_content(chunk_size, decode):
            yield piece
            if time.monotonic() > until:
                raise requests.ReadTimeout("the engine did not send all of it in time")
