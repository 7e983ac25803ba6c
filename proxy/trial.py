"""Trial: one real call from the pages, through the gateway's own address, by a key's own rules.

It presents a secret that was made for it and that works for a minute, so its log row, its budgets
and its refusals are those of the key; the row's end user is who sent it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from django.conf import settings
from django.db import transaction

from proxy.credentials import digest_of, new_secret
from proxy.models import APIKey, TrialSecret
from spend.audit import record_change
from spend.rollover import database_now

LIFE = timedelta(seconds=60)
CONNECT_SECONDS, READ_SECONDS = 3.0, 55.0
ANSWER_BYTES_MAX = 1 << 20
PATH = "/v1/chat/completions"
UNREACHABLE = (
    "The gateway cannot be reached at {address}. TOLLGATE_URL must be an address of this server."
)


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What the client would have got. `status` is None where nothing came back."""

    status: int | None
    milliseconds: int
    text: str  # what the model said, or what went wrong
    kind: str = ""  # of an error: its type
    request_id: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.status == 200


def send_trial(key: APIKey, body: Mapping[str, Any], *, actor: str) -> TrialAnswer:
    """Waits for the whole answer, a minute at most. Never raises for what the network does."""
    secret = open_trial(key, actor=actor)
    started = perf_counter()
    try:
        with requests.post(
            f"{settings.TOLLGATE_URL.rstrip('/')}{PATH}",
            data=orjson.dumps({**body, "user": actor}),
            headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            stream=True,
            allow_redirects=False,
        ) as answer:
            raw = _bounded(answer)
            spent = _since(started)
            return _read(answer, raw, spent, is_stream=bool(body.get("stream")))
    except requests.RequestException:
        address = urlsplit(settings.TOLLGATE_URL).netloc
        return TrialAnswer(None, _since(started), UNREACHABLE.format(address=address))


@transaction.atomic
def open_trial(key: APIKey, *, actor: str) -> str:
    """A secret that presents this key for a minute; those that are over go."""
    now, secret = database_now(), new_secret()
    TrialSecret.objects.filter(until__lt=now).delete()
    TrialSecret.objects.create(
        digest=digest_of(secret), key=key, until=now + LIFE, created_by=actor
    )
    record_change(actor, "try", "key", str(key))
    return secret


def _bounded(answer: requests.Response) -> bytes:
    found = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        found += chunk
        if len(found) > ANSWER_BYTES_MAX:
            break
    return bytes(found)


def _read(
    answer: requests.Response, raw: bytes, milliseconds: int, *, is_stream: bool
) -> TrialAnswer:
    request_id = answer.headers.get("x-request-id", "")
    if answer.status_code == 200 and is_stream:
        text = "".join(_deltas(raw))
        return TrialAnswer(200, milliseconds, text, request_id=request_id)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    error = body.get("error")
    if isinstance(error, dict):
        text, kind = str(error.get("message", "")), str(error.get("type", ""))
        return TrialAnswer(answer.status_code, milliseconds, text, kind, request_id, body)
    return TrialAnswer(
        answer.status_code, milliseconds, _said(body), request_id=request_id, body=body
    )


def _said(body: Mapping[str, Any]) -> str:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        if isinstance(message, dict):
            return str(message.get("content") or message.get("refusal") or "")
    return ""


def _deltas(raw: bytes) -> Iterator[str]:
    """The pieces of a stream of server-sent events."""
    for line in raw.decode(errors="replace").splitlines():
        if not line.startswith("data:") or line.endswith("[DONE]"):
            continue
        try:
            event = orjson.loads(line[5:])
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict) and isinstance(event.get("error"), dict):
            yield f"\n{event['error'].get('message', '')}"
        for choice in event.get("choices") or () if isinstance(event, dict) else ():
            yield str((choice.get("delta") or {}).get("content") or "")


def _since(started: float) -> int:
    return round(1_000 * (perf_counter() - started))
