"""Authentication: header -> KeyCard, by the SHA-256 of whatever was presented."""

from collections.abc import Mapping
from datetime import UTC, datetime

from proxy.credentials import digest_of, is_master_digest, presented_key
from proxy.directory import Directory
from proxy.errors import unauthorized
from proxy.key_cards import MASTER, KeyCard

KEY_BYTES_MAX = 512


async def authenticate(headers: Mapping[str, str], directory: Directory) -> KeyCard:
    """Who calls. Raises Failure 401 with one text for all that is not a key of ours."""
    presented = presented_key(headers)
    if not presented:
        raise unauthorized("auth_error", "No API key was sent. Use 'Authorization: Bearer sk-...'.")
    if len(presented) > KEY_BYTES_MAX:
        raise unknown_key()
    digest = digest_of(presented)
    if is_master_digest(digest):
        return MASTER
    card = await directory.key(digest)
    if card is None:
        raise unknown_key()
    if card.blocked:
        raise unauthorized("key_blocked", "This API key is blocked.")
    if card.expires_at is not None and card.expires_at <= datetime.now(UTC):
        raise unauthorized("expired_key", "This API key has expired.")
    return card


def unknown_key() -> Exception:
    return unauthorized("auth_error", "The API key is not valid.")
