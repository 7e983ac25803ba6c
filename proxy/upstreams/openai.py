"""The OpenAI dialect, spoken by most providers: one address, a path per endpoint, a bearer key."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.upload import Upload
from proxy.upstreams.bodies import outbound_body
from proxy.upstreams.contract import Outbound, Request
from proxy.upstreams.form_body import FormBody

endpoints = (
    "chat/completions", "completions", "embeddings", "responses", "images/generations",
    "audio/speech", "audio/transcriptions", "moderations", "rerank",
)  # fmt: skip
# Some servers of this dialect speak Anthropic's form as well; their deployments say so.
on_request = ("messages", "messages/count_tokens")


def build(request: Request) -> Outbound:
    body = outbound_body(request)
    endpoint = request.endpoint
    if (
        request.stream
        and endpoint.asks_for_usage
        and request.terms.get("supports_stream_options", True)
    ):
        options = body.get("stream_options") or {}
        body["stream_options"] = {**options, "include_usage": True}
    sent, media_type = write_body(body, request.upload)
    headers = {
        **request.forwarded,
        "content-type": media_type,
        "accept": "text/event-stream" if request.stream else endpoint.accepts,
        "accept-encoding": "identity",
        "x-client-request-id": request.call_id,
    }
    if request.secret:
        headers["authorization"] = f"Bearer {request.secret}"
    url = f"{request.address}/{endpoint.name}"
    return Outbound(url, headers, sent, request.stream)


def write_body(body: Mapping[str, Any], upload: Upload | None) -> tuple[bytes | FormBody, str]:
    """And its media type."""
    if upload is None:
        return orjson.dumps(body), "application/json"
    form = FormBody(body, upload)
    return form, form.media_type
