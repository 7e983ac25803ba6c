"""Holds: a call's intent and the budgets it draws on, and what the ledger held for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from spend.money import Nanos


@dataclass(frozen=True, slots=True)
class Draw:
    """A budget that a call must have room in, and on whose behalf (`tag:engineering`)."""

    budget: int
    payer: str
    name: str  # the budget's public id
    soft_limit: Nanos | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """All that the final row will need, as plain values; durable before anything is sent."""

    endpoint: str
    stream: bool
    key_id: UUID
    key_alias: str | None
    key_digest: str | None
    tag_set: int
    model: str
    upstream_model: str | None = None
    deployment_id: UUID | None = None
    provider: str | None = None
    price_id: UUID | None = None
    client_request_id: str | None = None
    end_user: str | None = None
    session_id: str | None = None
    user_agent: str | None = None
    address: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window as the locked row had it, this call's hold included. Times in seconds since 1970."""

    draw: Draw
    is_strict: bool
    limit: Nanos | None
    spent: Nanos
    reserved: Nanos
    resets_at: float | None

    @property
    def remaining(self) -> Nanos | None:
        if self.limit is None:
            return None
        return Nanos(max(0, self.limit - self.spent - self.reserved))


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation's counterpart in the process's hand; given back exactly once."""

    id: UUID
    held: Nanos  # the largest of its holds: what an unknown ending costs
    windows: tuple[WindowState, ...]
    holds: tuple[Nanos, ...]  # one per window

    @property
    def bounded(self) -> bool:
        """Whether a strict window holds the upper bound, so that an output cap must go upstream."""
        return any(window.is_strict for window in self.windows)
