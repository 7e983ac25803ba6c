"""Past calls: bring calls of the past into the books, by the SQL that settles the calls of today.

So log, windows and roll-ups agree to the nano-dollar whatever is brought in. For a demo, and for
tests of what months of use look like.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction

from spend.billing import Bill, Record
from spend.ledger import Intent, record_fields
from spend.models import Budget, BudgetWindow, Reservation
from spend.partitions import make_partitions
from spend.rollover import roll_over
from spend.windows import Span, window_at

BATCH_CALLS = 500
SETTLE = "select spend_settle(%s::jsonb, %s)"
INTERN = "select spend_intern_tags(%s::text[])"
NO_WORKER = 0  # nobody holds these calls; they are settled in the transaction that admits them


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call that ended. `windows` are the ids of those it drew on; none if it was refused."""

    id: UUID
    at: datetime
    intent: Intent
    windows: tuple[int, ...]
    bill: Bill
    record: Record

    @property
    def was_refused(self) -> bool:
        return self.bill.status == "refused"


@transaction.atomic
def backdate_budget(budget: Budget, since: datetime) -> list[BudgetWindow]:
    """A budget that nothing was drawn from, as if it had been made at `since`.

    All its windows from then on, the oldest first; the last one is open.
    """
    made_at = since.replace(microsecond=0)
    unused = BudgetWindow.objects.filter(budget=budget, spent=0, reserved=0)
    if unused.count() != budget.windows.count():
        raise ValueError("this budget has been drawn from")
    unused.delete()
    Budget.objects.filter(pk=budget.pk).update(anchor=made_at, created_at=made_at)
    budget.refresh_from_db()
    current = BudgetWindow.objects.get(pk=roll_over(budget.pk))
    closed = [
        BudgetWindow(
            budget=budget,
            starts_at=span.starts_at,
            ends_at=span.ends_at,
            is_open=False,
            mode=budget.mode,
            limit=budget.limit,
        )
        for span in _spans_before(budget, made_at, current.starts_at)
    ]
    return [*BudgetWindow.objects.bulk_create(closed), current]


@transaction.atomic
def write_past_calls(calls: Iterable[PastCall]) -> int:
    """Bring the calls in, all or none; how many. Their months get partitions of their own."""
    ordered = sorted(calls, key=lambda call: call.id)
    if not ordered:
        return 0
    make_partitions(ordered[0].at)
    for start in range(0, len(ordered), BATCH_CALLS):
        _write_batch(ordered[start : start + BATCH_CALLS])
    return len(ordered)


def intern_tags(names: Sequence[str]) -> int:
    """The id of an ordered list of tag names."""
    with connection.cursor() as cursor:
        cursor.execute(INTERN, [list(names)])
        (found,) = cursor.fetchone()
    return int(found)


def _spans_before(budget: Budget, since: datetime, end: datetime) -> list[Span]:
    spans = []
    span = window_at(budget.schedule, since)
    while span.ends_at is not None and span.ends_at <= end:
        spans.append(span)
        span = window_at(budget.schedule, span.ends_at)
    return spans


def _write_batch(calls: Sequence[PastCall]) -> None:
    admitted = [call for call in calls if not call.was_refused]
    Reservation.objects.bulk_create([_reservation(call) for call in admitted])
    items = orjson.dumps([_item(call) for call in calls]).decode()
    with connection.cursor() as cursor:
        cursor.execute(SETTLE, [items, settings.REPORT_TIME_ZONE])


def _reservation(call: PastCall) -> Reservation:
    return Reservation(
        id=call.id,
        worker=NO_WORKER,
        windows=list(call.windows),
        holds=[0] * len(call.windows),
        estimate=0,
        admitted_at=call.at,
        expires_at=call.record.ended_at,
        intent=orjson.loads(orjson.dumps(call.intent)),
    )


def _item(call: PastCall) -> dict[str, Any]:
    """What settle takes; a refused call comes with its intent, for want of a reservation."""
    bill, usage = call.bill, call.bill.usage
    record = replace(call.record, flags=(*bill.flags, *call.record.flags))
    item = record_fields(record) | {
        "id": call.id,
        "cost": bill.cost,
        "status": bill.status,
        "usage": usage.as_json(),
        "usage_source": bill.usage_source,
        "price_id": bill.price_id,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_input,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
    }
    return item | {"at": call.at, "intent": call.intent} if call.was_refused else item
