"""Audit: who changed what, written in the transaction that changes it."""

from collections.abc import Mapping
from typing import Any

from spend.models import Audit


def record_change(
    actor: str,
    action: str,
    thing: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Keep who did it and how it was before and after, as plain JSON values without secrets."""
    Audit.objects.create(
        actor=actor,
        action=action,
        kind=thing,
        name=name,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        reason=reason,
    )
