"""Client address: where a request came from; a forwarded one is believed from trusted proxies."""

from collections.abc import Mapping

from django.conf import settings

CHARACTERS_MAX = 64


def client_address(peer: str | None, headers: Mapping[str, str]) -> str | None:
    """`headers` are read by lower-case names. The last one told is the one that the proxy saw."""
    forwarded = headers.get("x-forwarded-for")
    if forwarded and peer in settings.TRUSTED_PROXIES:
        return forwarded.split(",")[-1].strip()[:CHARACTERS_MAX]
    return peer
