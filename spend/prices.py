"""Prices: load_catalogue, load_file; a published list becomes effective-dated Price rows.

A row is never changed, only succeeded, so whatever was billed by it can be told for ever. Rows
that have not begun yet have billed nothing, and are replaced. An operator's rows and those of
deployments are never touched, and win over these (spend/price_book.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from spend.models import Price, PriceSource
from spend.price_fields import wire_from_rates
from spend.price_lists import ListedPrice, PriceList, genai_prices_list, litellm_list
from spend.rollover import database_now

ROWS_AT_ONCE = 1_000

Name = tuple[str, str]  # provider and model


@dataclass(slots=True)
class _Plan:
    added: list[Price] = field(default_factory=list)
    changed: list[Price] = field(default_factory=list)
    unchanged: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[Price] = field(default_factory=list)


def load_catalogue(*, dry_run: bool = False) -> dict[str, Any]:
    """Load the library's list; the report of what changed. May run any number of times."""
    return _load(genai_prices_list(database_now()), dry_run=dry_run)


def load_file(path: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Load a file in the form of LiteLLM's price JSON. Raises BadPriceList."""
    return _load(litellm_list(path), dry_run=dry_run)


@transaction.atomic
def _load(prices: PriceList, *, dry_run: bool) -> dict[str, Any]:
    """Compare with the rows of the same list, so that two lists do not undo each other's news.

    Of two lists that price a model, the row that began last counts.
    """
    with connection.cursor() as cursor:  # one load at a time, or both would add the same rows
        cursor.execute("select pg_advisory_xact_lock(7003)")
    now = database_now()
    plan = _compare(prices, now)
    if not dry_run:
        Price.objects.filter(pk__in=[price.pk for price in plan.replaced]).delete()
        Price.objects.bulk_create([*plan.added, *plan.changed], batch_size=ROWS_AT_ONCE)
    return {
        "source": prices.source,
        "added": len(plan.added),
        "changed": len(plan.changed),
        "unchanged": plan.unchanged,
        "skipped": prices.skipped,
        "changes": plan.changes,
    }


def _compare(prices: PriceList, now: datetime) -> _Plan:
    plan = _Plan()
    rows = Price.objects.filter(source=PriceSource.CATALOGUE, created_by=prices.name)
    current = {_name(row): row for row in _newest(rows.filter(starts_at__lte=now))}
    coming = {(_name(row), row.starts_at): row for row in rows.filter(starts_at__gt=now)}
    for listed in prices.prices:
        starts_at = listed.starts_at
        name = (listed.provider, listed.model)
        before = current.get(name) if starts_at is None else coming.pop((name, starts_at), None)
        if before is not None and before.rates == listed.rates:
            plan.unchanged += 1
            continue
        row = _row(listed, prices, now)
        if before is None:
            plan.added.append(row)
            continue
        plan.changed.append(row)
        plan.changes.append(_change(before, row))
        if starts_at is not None:
            plan.replaced.append(before)
    plan.replaced.extend(coming.values())  # announced once, and taken back
    return plan


def _newest(rows: Any) -> Iterable[Price]:
    found: Iterable[Price] = rows.order_by("provider", "model", "-starts_at").distinct(
        "provider", "model"
    )
    return found


def _name(row: Price) -> Name:
    return row.provider, row.model


def _row(listed: ListedPrice, prices: PriceList, now: datetime) -> Price:
    return Price(
        source=PriceSource.CATALOGUE,
        provider=listed.provider,
        model=listed.model,
        starts_at=listed.starts_at or now,
        rates=listed.rates,
        note=prices.source,
        created_by=prices.name,
    )


def _change(before: Price, after: Price) -> dict[str, Any]:
    return {
        "provider": after.provider,
        "model": after.model,
        "starts_at": after.starts_at.isoformat().replace("+00:00", "Z"),
        "before": _texts(wire_from_rates(before.rates)),
        "after": _texts(wire_from_rates(after.rates)),
    }


def _texts(fields: dict[str, Any]) -> dict[str, Any]:
    """Prices as exact text, for what is printed and what a job's outcome keeps."""
    return {
        name: _texts(value) if isinstance(value, dict) else f"{value:f}"
        for name, value in fields.items()
    }
