"""What Podman says of an image in its own API alone (libpod), and not in the Docker-compatible one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine

#: The oldest version of that API that Podman 4 and 5 speak.
_API = "v4.0.0"


def image_config(engine: Engine, image_id: str) -> Mapping[str, Any]:
    """The parts of an image's configuration that Podman's Docker-compatible inspect leaves out: `Healthcheck`.

    Nothing on other engines. Its `Shell` Podman tells nowhere.
    """
    if engine.name != "podman":
        return {}
    client: Any = engine.client
    answer = client.get(f"{client.base_url}/{_API}/libpod/images/{image_id}/json", timeout=client.timeout)
    answer.raise_for_status()
    health = answer.json().get("Healthcheck")
    return {"Healthcheck": health} if health else {}
