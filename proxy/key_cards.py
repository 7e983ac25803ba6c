"""KeyCard: a virtual key's row as the frozen value that calls are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.timezone import now

from proxy.models import APIKey, TrialSecret
from spend.ledger import Draw
from tags.draws import draws_of


@dataclass(frozen=True, slots=True)
class KeyCard:
    """Who calls and what is allowed; never truth about money, which is read under lock."""

    id: UUID
    alias: str | None
    digest: str | None
    ending: str = ""
    allowed_models: tuple[str, ...] = ()
    default_tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allowed_tags: tuple[str, ...] | None = None
    required_tags: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()  # its own budget, further ones, pots
    blocked: bool = False
    expires_at: datetime | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None

    @property
    def name(self) -> str:
        """How a key is spoken of: its alias, or its masked text."""
        return self.alias or f"sk-...{self.ending}"


# Calls made with the master key: no key budget, no rule, and a row that says who it was.
MASTER = KeyCard(id=UUID(int=0), alias="master", digest=None)


def load_key_card(digest: str) -> KeyCard | None:
    """The key of that SHA-256 hex, in two queries; None if there is none or it was deleted.

    A key that was given a new secret is found by the old one until its grace period ends: such a
    card holds the present digest and expires with the grace period. So it is with a trial's secret.
    """
    at = now()
    key = APIKey.objects.of_digest(digest, at).with_budgets().first()
    if key is None:
        return None
    card = card_of(key)
    if key.digest == digest:
        return card
    until = key.previous_until
    if key.previous_digest != digest:
        until = TrialSecret.objects.filter(digest=digest).values_list("until", flat=True).first()
    ends = [end for end in (key.expires_at, until or at) if end is not None]
    return replace(card, expires_at=min(ends))


def card_of(key: APIKey) -> KeyCard:
    """The card of a key that was read `with_budgets()`."""
    return KeyCard(
        id=key.id,
        alias=key.alias,
        digest=key.digest,
        ending=key.ending,
        allowed_models=tuple(key.allowed_models),
        default_tags=tuple(key.metadata.get("tags") or ()),
        metadata=key.metadata,
        allowed_tags=None if key.allowed_tags is None else tuple(key.allowed_tags),
        required_tags=tuple(key.required_tags),
        draws=draws_of(f"key:{key}", key.budget, key.draws.all()),
        blocked=key.blocked,
        expires_at=key.expires_at,
        tpm_limit=key.tpm_limit,
        rpm_limit=key.rpm_limit,
        max_parallel_requests=key.max_parallel_requests,
    )
