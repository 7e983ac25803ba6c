"""Failures of upstreams: their own error -> what the client is told (wire contract, 3.6)."""

import re
from collections.abc import Mapping
from typing import Any

from proxy.errors import Failure
from proxy.upstreams.contract import Reply

# Our credential was refused: the client's key is not at fault, and must not be told so.
CREDENTIAL_REFUSED = (401, 402, 403, 407)
MESSAGE_CHARACTERS_MAX = 2_000
LABEL_CHARACTERS_MAX = 128
KEPT_HEADERS = ("retry-after", "retry-after-ms")

_SECRETS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key)-[A-Za-z0-9_\-*.]{6,}|Bearer\s+\S+")
_ADDRESSES = re.compile(r"https?://[^\s'\"<>)]+")


def is_error_body(body: Mapping[str, Any]) -> bool:
    """A 200 that carries an error instead of an answer."""
    return bool(body.get("error")) and "choices" not in body


def upstream_failure(
    status: int, type_: str, text: str, headers: Mapping[str, str] | None = None
) -> Failure:
    return Failure(status, type_, text, headers=headers or {}, source="upstream")


def failure_within(error: object, *, secret: str | None) -> Failure:
    """What an answer says that began as a success, and its own words as far as they may be told."""
    message = error.get("message") if isinstance(error, Mapping) else error
    if not isinstance(message, str) or not message:
        return upstream_failure(502, "upstream_error", "The upstream failed.")
    text = f"The upstream failed: {scrub(message, secret)}"
    return upstream_failure(502, "upstream_error", text)


def failure_of(reply: Reply, body: Mapping[str, Any] | None, *, secret: str | None) -> Failure:
    if reply.status in CREDENTIAL_REFUSED:
        text = "The upstream refused the gateway's credential. An administrator must look at it."
        return upstream_failure(502, "upstream_auth_error", text)
    if not 400 <= reply.status < 600:
        return upstream_failure(502, "upstream_error", "The upstream's answer cannot be used.")
    headers = {
        name: value for name in KEPT_HEADERS if (value := reply.header(name)) and value.isascii()
    }
    error = body.get("error") if body else None
    if not isinstance(error, Mapping):
        text = f"The upstream answered with status {reply.status}."
        return upstream_failure(reply.status, "upstream_error", text, headers)
    message = error.get("message")
    code = error.get("code")
    param = error.get("param")
    kind = error.get("type")
    return Failure(
        reply.status,
        scrub(kind, secret)[:LABEL_CHARACTERS_MAX] if isinstance(kind, str) else "upstream_error",
        scrub(message if isinstance(message, str) else "The upstream failed.", secret),
        scrub(param, secret)[:LABEL_CHARACTERS_MAX] if isinstance(param, str) else None,
        headers=headers,
        code=None if code is None else scrub(str(code), secret)[:LABEL_CHARACTERS_MAX],
        source="upstream",
    )


def scrub(text: str, secret: str | None) -> str:
    """An upstream's text without anything that looks like a credential, or tells its address."""
    if secret:
        text = text.replace(secret, "...")
    text = _SECRETS.sub("...", text)
    return _ADDRESSES.sub("...", text)[:MESSAGE_CHARACTERS_MAX]
