"""Credentials: which key a caller presents, and how a key's text becomes its digest."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest

from django.conf import settings

from proxy.errors import Failure, unauthorized

KEY_PREFIX = "sk-"
KEY_RANDOM_BYTES = 32
BEARER = "bearer "

NO_KEY = "No API key was presented. Send it as 'Authorization: Bearer <key>'."
UNKNOWN_KEY = "This API key is not valid."
EXPIRED_KEY = "This API key has expired."
BLOCKED_KEY = "This API key is blocked."


def new_secret() -> str:
    """A virtual key's text: `sk-` and 43 URL-safe characters, 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_RANDOM_BYTES)


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The text that claims to be a key, however wrong it is; None when there is none.

    `headers` is read by lower-case names. The first header that is present and not empty counts:
    a wrong one is never made good by another.
    """
    if text := headers.get("x-litellm-api-key", "").strip():
        return _without_bearer(text)
    if text := headers.get("authorization", "").strip():
        # Another scheme's text stays whole: it is no key, and so it is refused as an unknown one.
        return _without_bearer(text)
    for name in ("api-key", "x-api-key"):
        if text := headers.get(name, "").strip():
            return text
    return None


def digest_of(key: str) -> str:
    """SHA-256 hex of the whole text: all that is ever stored, compared or looked up."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def is_master(digest: str) -> bool:
    """Whether this is the master key's digest, in constant time; without a master key nobody is."""
    if not settings.MASTER_KEY or not digest.isascii():  # which some texts that claim to be one are
        return False
    return compare_digest(digest, _master_digest(settings.MASTER_KEY))


@lru_cache(1)
def _master_digest(master_key: str) -> str:
    return digest_of(master_key)


def refusal_of_missing() -> Failure:
    return unauthorized("auth_error", NO_KEY)


class UnknownKey(Failure):
    """What is told to whoever presents a key that nobody knows."""


def refusal_of_unknown() -> UnknownKey:
    """One text for a key that was never made, was deleted, or cannot be a key at all."""
    return UnknownKey(401, "auth_error", UNKNOWN_KEY, headers={"WWW-Authenticate": "Bearer"})


def refuse_unusable(*, blocked: bool, expires_at: datetime | None, now: datetime) -> None:
    """Raises Failure `key_blocked` or `expired_key` for a key that exists and may not be used."""
    if blocked:
        raise unauthorized("key_blocked", BLOCKED_KEY)
    if expires_at is not None and expires_at <= now:
        raise unauthorized("expired_key", EXPIRED_KEY)


def _without_bearer(text: str) -> str:
    """`Bearer` and the spaces after it taken off, in any case."""
    if text.lower() == BEARER.strip():
        return ""
    return text[len(BEARER) :].strip() if text.lower().startswith(BEARER) else text
