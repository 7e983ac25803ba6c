"""The Azure dialect: OpenAI's bodies at an address per deployment, with a version and `api-key`."""

from dataclasses import replace
from urllib.parse import quote

from proxy.upstreams import openai
from proxy.upstreams.contract import Outbound, Request

endpoints = (
    "chat/completions", "completions", "embeddings", "responses", "images/generations",
    "audio/speech", "audio/transcriptions",
)  # fmt: skip
on_request = ()
# Here the body alone names the deployment.
WITHOUT_DEPLOYMENT = frozenset({"responses"})


def build(request: Request) -> Outbound:
    outbound = openai.build(request)
    headers = {name: value for name, value in outbound.headers.items() if name != "authorization"}
    if request.secret:
        headers["api-key"] = request.secret
    name = request.endpoint.name
    address = f"{request.address}/openai"
    if name not in WITHOUT_DEPLOYMENT:
        address += f"/deployments/{quote(request.upstream_model, safe='')}"
    version = quote(request.api_version, safe="")
    return replace(outbound, url=f"{address}/{name}?api-version={version}", headers=headers)
