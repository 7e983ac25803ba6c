"""Authentication: header -> KeyCard, by the SHA-256 of whatever was presented."""

from collections.abc import Mapping
from datetime import UTC, datetime

from proxy.credentials import (
    digest_of,
    is_master,
    presented_key,
    refusal_of_missing,
    refusal_of_unknown,
    refuse_unusable,
)
from proxy.directory import Directory
from proxy.key_cards import MASTER, KeyCard

KEY_CHARACTERS_MAX = 512


async def authenticate(headers: Mapping[str, str], directory: Directory) -> KeyCard:
    """Who calls. Raises Failure 401, with one text for all that is not a key of ours."""
    presented = presented_key(headers)
    if not presented:
        raise refusal_of_missing()
    if len(presented) > KEY_CHARACTERS_MAX:
        raise refusal_of_unknown()
    digest = digest_of(presented)
    if is_master(digest):
        return MASTER
    card = await directory.key(digest)
    if card is None:
        raise refusal_of_unknown()
    refuse_unusable(blocked=card.blocked, expires_at=card.expires_at, now=datetime.now(UTC))
    return card
