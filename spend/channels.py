"""Channels: where alerts are sent: signed webhooks, e-mail, and whatever apprise knows (Slack ...).

A channel's name is what may be shown of it: secrets in its address are masked.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from django.conf import settings
from django.core.mail import send_mail
from urllib3.exceptions import HTTPError

from spend.alert_words import body_of, title_of
from spend.models import Alert

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
SIGNATURE = "x-tollgate-signature"


class DeliveryFailed(Exception):
    """Not delivered; the text says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Channel:
    kind: str  # webhook, email, apprise
    name: str
    target: str = field(repr=False)


def channels() -> list[Channel]:
    """All that the settings name, in their order, each once."""
    return list({channel.name: channel for channel in _configured()}.values())


def deliver(channel: Channel, alert: Alert) -> str:
    """The answer in a few words. Raises DeliveryFailed."""
    match channel.kind:
        case "webhook":
            return _post(channel.target, alert)
        case "email":
            return _mail(channel.target, alert)
        case _:
            return _notify(channel.target, alert)


def payload(alert: Alert) -> bytes:
    """What a webhook receives; `id` tells repeats apart."""
    told: dict[str, Any] = {"event": alert.kind, "id": str(alert.id), **alert.facts}
    return orjson.dumps(told)


def signature(body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of the body under ALERT_SECRET."""
    digest = hmac.new(settings.ALERT_SECRET.encode(), body, sha256).hexdigest()
    return f"sha256={digest}"


def _configured() -> Iterator[Channel]:
    for url in settings.ALERT_WEBHOOKS:
        yield Channel("webhook", f"webhook {_masked(url)}", url)
    for address in settings.ALERT_EMAILS:
        yield Channel("email", f"e-mail {address}"[:200], address)
    for url in settings.ALERT_URLS:
        yield Channel("apprise", _apprise_name(url), url)


def _masked(url: str) -> str:
    """Scheme and host, and whether more follows: a webhook's path is its password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not understood)"
    rest = "/..." if len(parts.path) > 1 or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{rest}"[:180]


@cache
def _apprise_name(url: str) -> str:
    service = _service(url)
    if service is None:
        return f"{urlsplit(url).scheme or 'unknown'} (not understood)"
    return str(service.url(privacy=True)).split("?")[0][:200]


def _service(url: str) -> Any:
    from apprise import Apprise  # a second to import, and most processes never do

    return Apprise.instantiate(url)


def _post(url: str, alert: Alert) -> str:
    body = payload(alert)
    headers = {
        "content-type": "application/json",
        "user-agent": "tollgate",
        SIGNATURE: signature(body),
    }
    try:
        with requests.post(
            url,
            data=body,
            headers=headers,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,  # whatever it says is not read
        ) as answer:
            status = answer.status_code
    except (requests.RequestException, HTTPError, ValueError) as error:  # of a strange address
        raise DeliveryFailed(f"no answer: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"answered {status}")
    return f"answered {status}"


def _mail(address: str, alert: Alert) -> str:
    try:
        send_mail(title_of(alert), body_of(alert), None, [address])
    except (OSError, ValueError) as error:  # smtplib's are of the first family
        raise DeliveryFailed(f"not sent: {type(error).__name__}") from None
    return "sent"


def _notify(url: str, alert: Alert) -> str:
    service = _service(url)
    if service is None:
        raise DeliveryFailed("the address is not understood")
    try:
        is_taken = service.notify(title=title_of(alert), body=body_of(alert))
    except (OSError, TypeError, ValueError) as error:
        raise DeliveryFailed(f"not sent: {type(error).__name__}") from None
    if not is_taken:
        raise DeliveryFailed("the service did not take it")
    return "sent"
