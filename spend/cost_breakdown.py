"""Cost breakdown: a row's cost by kind, told again from its usage and its price."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from spend.errors import ModelNotPriced
from spend.models import CallStatus, Price, SpendLog
from spend.money import PICOS_PER_NANO, round_up
from spend.pricing import Tariff, breakdown
from spend.usage import Usage

OTHER = "other_attempts"  # billed as well, though the row keeps the last one's usage


def load_tariffs(rows: Iterable[SpendLog]) -> dict[UUID, Tariff]:
    """The prices that rows were billed by, in one query."""
    ids = {row.price_id for row in rows if row.price_id is not None}
    return {
        price.id: Tariff.from_rates(price.rates, price_id=str(price.id), source=price.source)
        for price in Price.objects.filter(pk__in=ids)
    }


def cost_breakdown(row: SpendLog, tariffs: Mapping[UUID, Tariff]) -> dict[str, int]:
    """Pico-dollars by kind; their sum, rounded up, is the row's cost.

    What usage does not explain has a name of its own: `correction`, `estimate`, `other_attempts`.
    """
    billed = row.cost * PICOS_PER_NANO
    if billed == 0:
        return {}
    if row.status == CallStatus.CORRECTION:
        return {"correction": billed}
    tariff = tariffs.get(row.price_id) if row.price_id else None
    if tariff is None or not row.usage:
        return {"estimate": billed}
    parts = _parts_that_fit(Usage.from_json(row.usage), tariff, row.cost)
    rest = 0 if round_up(sum(parts.values())) == row.cost else billed - sum(parts.values())
    return {**parts, OTHER: rest} if rest else parts


def _parts_that_fit(usage: Usage, tariff: Tariff, cost: int) -> dict[str, int]:
    """The row does not keep its service tier, but only one of them comes to its cost."""
    found: list[dict[str, int]] = []
    for tier in (None, *tariff.card.variants):
        try:
            found.append(breakdown(usage, tariff, service_tier=tier))
        except ModelNotPriced:
            continue
    exact = (parts for parts in found if round_up(sum(parts.values())) == cost)
    return next(exact, found[0] if found else {})
