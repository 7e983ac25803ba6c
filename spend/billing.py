"""Billing: how a call's attempts ended -> all that the call owes, and what its row will say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from spend.money import Nanos
from spend.pricing import Tariff, cost_as_far_as_priced
from spend.usage import Usage


@dataclass(frozen=True, slots=True)
class Metered:
    """The upstream said what was used."""

    usage: Usage
    tariff: Tariff
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A whole answer without a usable usage: our own count of it."""

    usage: Usage
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Unknown:
    """Sent, and cut short: billed at what was delivered, else at the estimate; never free."""

    delivered: Usage | None
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Unbilled:
    """Certain that the upstream charges nothing."""


Ending = Metered | Counted | Unknown | Unbilled


@dataclass(frozen=True, slots=True)
class Bill:
    """The money side of a settled call."""

    cost: Nanos
    status: str  # success | estimated | failure
    usage: Usage
    usage_source: str  # upstream | counted | estimate | none
    price_id: UUID | None
    flags: tuple[str, ...] = ()


NOTHING = Bill(Nanos(0), "failure", Usage(), "none", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What else the call's row tells: times, ids, attempts, the error.

    The deployment and its provider are told where another one was tried than the intent names.
    """

    http_status: int
    ended_at: datetime
    first_byte_at: datetime | None = None
    client_disconnected: bool = False
    upstream_model: str | None = None
    upstream_request_id: str | None = None
    deployment_id: UUID | None = None
    provider: str | None = None
    attempts: Sequence[Mapping[str, Any]] = ()
    error: Mapping[str, Any] | None = None
    flags: tuple[str, ...] = field(default=())


def bill_for(endings: Sequence[Ending], *, estimate: Nanos) -> Bill:
    """Every attempt that may have been billed is billed; the row takes the last one's usage.

    `estimate` is what an attempt costs whose ending is unknown and that delivered nothing: the
    largest of the call's holds.
    """
    return join_bills(
        [_bill_one(ending, estimate) for ending in endings if not isinstance(ending, Unbilled)]
    )


def join_bills(bills: Sequence[Bill]) -> Bill:
    """One bill for all attempts of a call, each billed by itself before."""
    billed = [bill for bill in bills if bill.status != "failure"]
    if not billed:
        return NOTHING
    if len(billed) == 1:
        return billed[0]
    last = billed[-1]
    total = Nanos(sum(bill.cost for bill in billed))
    return Bill(total, last.status, last.usage, last.usage_source, last.price_id, last.flags)


def _bill_one(ending: Metered | Counted | Unknown, estimate: Nanos) -> Bill:
    tariff = ending.tariff
    match ending:
        case Metered(usage, _, tier):
            return _priced("success", "upstream", usage, tariff, tier)
        case Counted(usage, _):
            return _priced("success", "counted", usage, tariff)
        case Unknown(Usage() as delivered, _):
            return _priced("estimated", "counted", delivered, tariff)
        case Unknown():
            return Bill(estimate, "estimated", Usage(), "estimate", tariff.price_uuid)


def _priced(
    status: str, source: str, usage: Usage, tariff: Tariff, service_tier: str | None = None
) -> Bill:
    """What was used is owed, whether or not the price list is complete; gaps are flagged."""
    amount, unpriced = cost_as_far_as_priced(usage, tariff, service_tier=service_tier)
    flags = ("unpriced",) if unpriced or not tariff.is_priced else ()
    return Bill(amount, status, usage, source, tariff.price_uuid, flags)
