"""The Anthropic dialect: messages, with `x-api-key` and a version."""

import orjson

from proxy.upstreams.bodies import outbound_body
from proxy.upstreams.contract import Outbound, Request

endpoints = ("messages", "messages/count_tokens")
on_request = ()
VERSION = "2023-06-01"  # of the protocol; for clients that name none


def build(request: Request) -> Outbound:
    headers = {
        "anthropic-version": VERSION,
        **request.forwarded,
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else request.endpoint.accepts,
        "accept-encoding": "identity",
    }
    if request.secret:
        headers["x-api-key"] = request.secret
    url = f"{request.address.removesuffix('/v1')}/v1/{request.endpoint.name}"
    return Outbound(url, headers, orjson.dumps(outbound_body(request)), request.stream)
