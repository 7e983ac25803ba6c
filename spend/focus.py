"""FOCUS: the ledger as a bill by the FinOps Open Cost and Usage Specification, 1.2 and 1.3.

One row per day, tag set, key, deployment, price and meter. A call is in the rows of one tag set
however many tags it has, so that the rows add up to the ledger. Deployments, prices and usage are
in no roll-up, so this reads the log: the bill's days of it, once, in the order of its key.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings

from spend.ids import call_of, started_at
from spend.log_filters import APART, LogSearch, of_any_tag
from spend.log_stream import stream_rows
from spend.meters import METERS, Amount, Meter, meter_call, share_out
from spend.models import CallStatus, Price, SpendLog, TagSet
from spend.pricing import Tariff
from spend.ranges import Range
from spend.windows import midnight

BILLED = (CallStatus.SUCCESS, CallStatus.ESTIMATED, CallStatus.CORRECTION)
READ = (
    "id", "at", "status", "cost", "usage", "tag_set_id", "key_id", "key_alias", "deployment_id",
    "price_id", "provider", "model", "upstream_model",
)  # fmt: skip
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sold:
    """What rows are grouped by, beside the day."""

    tag_set: int
    key_id: UUID
    deployment_id: UUID | None
    price_id: UUID | None
    provider: str | None
    model: str


@dataclass(slots=True)
class Group:
    """All calls of one day that are alike; the names are those of the last one."""

    key_alias: str | None = None
    upstream_model: str | None = None
    calls: int = 0
    cost: int = 0
    amounts: dict[Meter, Amount] = field(default_factory=dict)

    def add(self, cost: int, amounts: Mapping[Meter, Amount]) -> None:
        self.calls += 1
        self.cost += cost
        for meter, amount in amounts.items():
            sum_ = self.amounts.setdefault(meter, Amount())
            sum_.quantity += amount.quantity
            sum_.picos += amount.picos


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A row of the bill. `calls` is told in one row of a group, so that it adds up too."""

    day: date
    starts_at: datetime
    ends_at: datetime
    tags: list[str]
    sold: Sold
    key_alias: str | None
    model: str  # as the provider sells it
    meter: Meter
    quantity: int
    cost: int  # nano-dollars
    calls: int


class _Known:
    """The prices and tag sets that the rows so far have named."""

    def __init__(self) -> None:
        self.prices: dict[UUID, Price] = {}
        self.tariffs: dict[UUID, Tariff] = {}
        self.tags: dict[int, list[str]] = {}

    def learn(self, rows: Iterable[SpendLog]) -> None:
        price_ids = {row.price_id for row in rows if row.price_id} - self.prices.keys()
        for price in Price.objects.filter(pk__in=price_ids):
            self.prices[price.id] = price
            self.tariffs[price.id] = Tariff.from_rates(
                price.rates, price_id=str(price.id), source=price.source
            )
        sets = {row.tag_set_id for row in rows} - self.tags.keys()
        self.tags |= dict(TagSet.objects.filter(pk__in=sets).values_list("id", "tags"))


Days = dict[date, dict[Sold, Group]]
Charges = Generator[list[Charge], None, None]


def read_charges(covered: Range) -> Charges:
    """The rows of the bill, a list at a time, day after day. Raises SearchTooSlow."""
    known, zone = _Known(), ZoneInfo(settings.REPORT_TIME_ZONE)
    days: Days = {}
    for rows in _whole_calls(covered):
        known.learn(rows)
        for _, same in groupby(rows, key=lambda row: call_of(row.id)):
            _add_call(days, list(same), known, zone)
        seen = started_at(rows[-1].id)
        for day in sorted(days):
            if midnight(day + DAY, settings.REPORT_TIME_ZONE) + APART < seen:
                yield list(_charges(day, days.pop(day), known))
    for day in sorted(days):
        yield list(_charges(day, days.pop(day), known))


def _whole_calls(covered: Range) -> Generator[list[SpendLog], None, None]:
    """The rows in their order; a call and its corrections are never in two lists."""
    search = LogSearch(starts_at=covered.starts_at, ends_at=covered.ends_at)
    rows = of_any_tag(search).filter(status__in=BILLED).only(*READ).order_by("id")
    kept: list[SpendLog] = []
    with closing(stream_rows(rows)) as chunks:
        for chunk in chunks:
            kept += chunk
            last = call_of(kept[-1].id)
            whole = [row for row in kept if call_of(row.id) != last]
            if whole:
                yield whole
                kept = kept[len(whole) :]
    if kept:
        yield kept


def _add_call(days: Days, rows: list[SpendLog], known: _Known, zone: ZoneInfo) -> None:
    """A correction tells the usage of the call that it corrects; both are one charge."""
    cost = sum(row.cost for row in rows)
    told = next((row for row in reversed(rows) if row.usage), rows[0])
    tariff = known.tariffs.get(told.price_id) if told.price_id else None
    amounts = meter_call(cost, told.usage, tariff)
    if not amounts:
        return
    sold = Sold(
        told.tag_set_id, told.key_id, told.deployment_id, told.price_id, told.provider, told.model
    )
    group = days.setdefault(told.at.astimezone(zone).date(), {}).setdefault(sold, Group())
    group.key_alias, group.upstream_model = told.key_alias, told.upstream_model
    group.add(cost, amounts)


def _charges(day: date, groups: Mapping[Sold, Group], known: _Known) -> Iterator[Charge]:
    zone = settings.REPORT_TIME_ZONE
    starts_at, ends_at = midnight(day, zone), midnight(day + DAY, zone)
    for sold, group in groups.items():
        price = known.prices.get(sold.price_id) if sold.price_id else None
        shares, calls = share_out(group.amounts, group.cost), group.calls
        for meter in METERS:
            if meter not in shares:
                continue
            yield Charge(
                day=day,
                starts_at=starts_at,
                ends_at=ends_at,
                tags=known.tags[sold.tag_set],
                sold=sold,
                key_alias=group.key_alias,
                model=price.model if price else group.upstream_model or sold.model,
                meter=meter,
                quantity=group.amounts[meter].quantity,
                cost=shares[meter],
                calls=calls,
            )
            calls = 0
