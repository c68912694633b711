"""The Docker client library (the SDK for Python) and what it is built on, imported when one of its names is first used.

Importing it takes longer than a build from the cache, and a grading on this machine's own engine needs it only when
something goes wrong (`grader.engine.api.client`). Use as ``sdk.errors.APIError``: an ``except`` looks a name up when
there is something to catch.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import requests as requests  # noqa: PLC0414  # for `sdk.requests`
    from docker import APIClient as APIClient  # noqa: PLC0414
    from docker import auth as auth  # noqa: PLC0414
    from docker import errors as errors  # noqa: PLC0414
    from docker import tls as tls  # noqa: PLC0414
    from docker.utils import parse_repository_tag as parse_repository_tag  # noqa: PLC0414
else:
    _FROM = {
        "APIClient": "docker.api",
        "auth": "docker",
        "errors": "docker",
        "parse_repository_tag": "docker.utils",
        "tls": "docker",
    }

    def __getattr__(name: str) -> object:
        if name == "requests":
            return _imported(name)
        if name not in _FROM:
            raise AttributeError(name)
        return getattr(_imported(_FROM[name]), name)


def _imported(module: str) -> ModuleType:
    """The module, imported in a thread of its own: an interruption of the main one would leave half of it behind.

    The name is often looked up to catch something; then it would be an AttributeError that is raised, and the
    interruption would be lost.
    """
    import importlib  # noqa: PLC0415  # as late as all else

    if module not in _WHOLE and threading.current_thread() is threading.main_thread():
        thread = threading.Thread(target=_import, args=(module,), name="import", daemon=True)
        thread.start()
        thread.join()
    _import(module)
    _WHOLE.add(module)
    return importlib.import_module(module)


def _import(module: str) -> None:
    """One at a time: two threads in the middle of packages that import each other get halves of them."""
    import importlib  # noqa: PLC0415

    with _ONE:
        importlib.import_module(module)


_ONE = threading.Lock()


#: Modules that were imported to their end.
_WHOLE: set[str] = set()
