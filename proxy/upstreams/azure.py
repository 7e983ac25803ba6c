"""The Azure dialect: OpenAI's bodies at an address per deployment, with a version and `api-key`."""

from dataclasses import replace
from urllib.parse import quote

from proxy.upstreams import openai
from proxy.upstreams.contract import Outbound, Request

endpoints = openai.endpoints
usage_in = openai.usage_in


def build(request: Request) -> Outbound:
    outbound = openai.build(request)
    headers = {name: value for name, value in outbound.headers.items() if name != "authorization"}
    if request.secret:
        headers["api-key"] = request.secret
    model = quote(request.upstream_model, safe="")
    address = f"{request.address}/openai/deployments/{model}/{request.endpoint}"
    version = quote(request.api_version, safe="")
    return replace(outbound, url=f"{address}?api-version={version}", headers=headers)
