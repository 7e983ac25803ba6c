"""The gateway's paths: with and without /v1, and under /openai/v1; a trailing slash is accepted.

Paths come percent-decoded from the server.
"""

from collections.abc import Mapping
from typing import Any

from proxy.views import ChatCompletions, GatewayView, Models, NotHere

PREFIXES = ("/openai/v1/", "/v1/", "/")

_EXACT: dict[str, GatewayView] = {
    "chat/completions": ChatCompletions(),
    "models": Models(),
}
_MODEL = Models()
_NOT_HERE = NotHere()
_OURS = ("/v1/", "/openai/", "/engines/")
_DJANGOS = ("/v1/model/",)
_DEPLOYMENT_PREFIXES = ("/openai/deployments/", "/engines/", "/v1/engines/", "/openai/v1/engines/")


def find_view(path: str) -> tuple[GatewayView, Mapping[str, str]] | None:
    """The view of a gateway path and what the path itself says, or None: then it is Django's."""
    found = _EXACT_PATHS.get(path)
    if found is not None:
        return found, {}
    if path.endswith("/") and (found := _EXACT_PATHS.get(path[:-1])):
        return found, {}
    for prefix in _DEPLOYMENT_PREFIXES:
        if path.startswith(prefix):
            return _find_deployment(path[len(prefix) :].rstrip("/"))
    for prefix in PREFIXES:
        if path.startswith(f"{prefix}models/"):
            return _MODEL, {"model": path[len(prefix) + 7 :].rstrip("/")}
    if path.startswith(_OURS) and not path.startswith(_DJANGOS):
        return _NOT_HERE, {}
    return None


def _find_deployment(rest: str) -> tuple[GatewayView, Mapping[str, str]]:
    """`<model>/<path>`: the model's name may itself hold slashes."""
    for name, view in _EXACT.items():
        if name != "models" and rest.endswith(f"/{name}"):
            return view, {"model": rest[: -len(name) - 1]}
    return _NOT_HERE, {}


_EXACT_PATHS: dict[str, Any] = {
    f"{prefix}{name}": view for prefix in PREFIXES for name, view in _EXACT.items()
}
