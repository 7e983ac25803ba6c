"""Cost breakdown: a row's cost by kind, told again from its usage and its price."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from spend.errors import ModelNotPriced
from spend.models import CallStatus, Price, SpendLog
from spend.money import PICOS_PER_NANO, round_up
from spend.pricing import Tariff, breakdown
from spend.usage import Usage

CORRECTION = "correction"
ESTIMATE = "estimate"
OTHER = "other_attempts"  # billed as well, though the row keeps the last one's usage
UNEXPLAINED = (CORRECTION, ESTIMATE, OTHER)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Pico-dollars by kind, and the service tier whose prices they are."""

    parts: Mapping[str, int]
    service_tier: str | None = None


def load_tariffs(rows: Iterable[SpendLog]) -> dict[UUID, Tariff]:
    """The prices that rows were billed by, in one query."""
    return tariffs_of({row.price_id for row in rows if row.price_id is not None})


def tariffs_of(price_ids: Iterable[UUID]) -> dict[UUID, Tariff]:
    return {
        price.id: Tariff.from_rates(price.rates, price_id=str(price.id), source=price.source)
        for price in Price.objects.filter(pk__in=list(price_ids))
    }


def cost_breakdown(row: SpendLog, tariffs: Mapping[UUID, Tariff]) -> dict[str, int]:
    """Pico-dollars by kind; their sum, rounded up, is the row's cost."""
    return dict(break_down_row(row, tariffs).parts)


def break_down_row(row: SpendLog, tariffs: Mapping[UUID, Tariff]) -> Breakdown:
    if row.status == CallStatus.CORRECTION:
        return Breakdown({CORRECTION: row.cost * PICOS_PER_NANO} if row.cost else {})
    return break_down(row.cost, row.usage, tariffs.get(row.price_id) if row.price_id else None)


def break_down(cost: int, usage: Mapping[str, object], tariff: Tariff | None) -> Breakdown:
    """A cost by what was used; what that does not explain is `estimate` or `other_attempts`."""
    billed = cost * PICOS_PER_NANO
    if billed == 0:
        return Breakdown({})
    if tariff is None or not usage:
        return Breakdown({ESTIMATE: billed})
    found = _that_fits(Usage.from_json(usage), tariff, cost)
    known = sum(found.parts.values())
    if round_up(known) == cost:
        return found
    return Breakdown({**found.parts, OTHER: billed - known}, found.service_tier)


def _that_fits(usage: Usage, tariff: Tariff, cost: int) -> Breakdown:
    """The row does not keep its service tier, but only one of them comes to its cost."""
    found: list[Breakdown] = []
    for tier in (None, *tariff.card.variants):
        try:
            found.append(Breakdown(breakdown(usage, tariff, service_tier=tier), tier))
        except ModelNotPriced:
            continue
    exact = (each for each in found if round_up(sum(each.parts.values())) == cost)
    return next(exact, found[0] if found else Breakdown({}))
