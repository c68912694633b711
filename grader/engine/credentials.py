"""Who is logged in where, by docker's own configuration: `docker login`, credential stores and helpers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.engine.connect import Engine

#: How BuildKit calls Docker Hub when it asks for credentials.
_HUB = "registry-1.docker.io"


def of(engine: Engine, references: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The registries of ``references`` where somebody is logged in -> user name and password, or "" and a token."""
    found = {}
    for registry in {sdk.auth.resolve_repository_name(sdk.parse_repository_tag(one)[0])[0] for one in references}:
        if login := _login(engine, registry):
            found[_HUB if registry == sdk.auth.INDEX_NAME else registry] = login
    return found


def _login(engine: Engine, registry: str) -> tuple[str, str] | None:
    client: Any = engine.client
    try:
        # Of a configuration file the SDK makes other keys than of a credential store.
        known = client._auth_configs.resolve_authconfig(registry) or {}  # noqa: SLF001  # the CLI's reading, in the SDK
    except sdk.errors.DockerException:
        # A helper that fails is no login; whatever needs one will say so.
        return None
    entry = {key.lower(): value for key, value in known.items()}
    if token := entry.get("identitytoken"):
        return "", str(token)
    return (str(entry["username"]), str(entry["password"])) if entry.get("username") else None
