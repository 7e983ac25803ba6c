"""The gateway's paths: with and without /v1, and under /openai/v1; a trailing slash is accepted.

Paths come percent-decoded from the server.
"""

from collections.abc import Mapping

from proxy.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS
from proxy.views import CallView, GatewayView, Models, NotHere

PREFIXES = ("/openai/v1/", "/v1/", "/")

# `chat/completions` before `completions`, which is its end.
_CALLS: dict[str, GatewayView] = {
    endpoint.name: CallView(endpoint)
    for endpoint in sorted(ENDPOINTS, key=lambda endpoint: -len(endpoint.name))
}
_ENGINE_CALLS = {e.name: _CALLS[e.name] for e in (CHAT, COMPLETIONS, EMBEDDINGS)}
_MODEL = Models()
_NOT_HERE = NotHere()
_OURS = ("/v1/", "/openai/", "/engines/")
_DJANGOS = ("/v1/model/",)
_DEPLOYMENTS = "/openai/deployments/"
_ENGINES = ("/engines/", "/v1/engines/", "/openai/v1/engines/")


def find_view(path: str) -> tuple[GatewayView, Mapping[str, str]] | None:
    """The view of a gateway path and what the path itself says, or None: then it is Django's."""
    found = _EXACT_PATHS.get(path)
    if found is not None:
        return found, {}
    if path.endswith("/") and (found := _EXACT_PATHS.get(path[:-1])):
        return found, {}
    if path.startswith(_DEPLOYMENTS):
        return _find_deployment(path[len(_DEPLOYMENTS) :], _CALLS)
    for prefix in _ENGINES:
        if path.startswith(prefix):
            return _find_deployment(path[len(prefix) :], _ENGINE_CALLS)
    for prefix in PREFIXES:
        if path.startswith(f"{prefix}models/"):
            return _MODEL, {"model": path[len(prefix) + 7 :].rstrip("/")}
    if path.startswith(_OURS) and not path.startswith(_DJANGOS):
        return _NOT_HERE, {}
    return None


def _find_deployment(
    rest: str, views: Mapping[str, GatewayView]
) -> tuple[GatewayView, Mapping[str, str]]:
    """`<model>/<path>`: the model's name may itself hold slashes."""
    rest = rest.rstrip("/")
    for name, view in views.items():
        if rest.endswith(f"/{name}"):
            return view, {"model": rest[: -len(name) - 1]}
    return _NOT_HERE, {}


_EXACT_PATHS: dict[str, GatewayView] = {
    f"{prefix}{name}": view
    for prefix in PREFIXES
    for name, view in (*_CALLS.items(), ("models", _MODEL))
} | {"/v2/rerank": _CALLS["rerank"]}
