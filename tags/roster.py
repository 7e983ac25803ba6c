"""The roster: a page of tags with how they stand, what they cost, and how many there are of each.

read_roster(question)   one statement: rows, counts by status, sums, the bill
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.db import connection

from spend.forecast import Course, Forecast, Period, look_ahead
from spend.models import Budget
from spend.money import Nanos
from spend.pieces import pieces_of
from spend.ranges import Range
from spend.status import Status, used_text
from spend.windows import window_at
from tags.bill import Bill
from tags.last_days import first_day, read_days
from tags.models import Tag
from tags.roster_sql import RANKS, roster_query

ROWS = 50
SUMS = 8  # columns in front of a row's own


class BadPlace(ValueError):
    """Not a cursor of this list."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: next to the row of that rank and name."""

    rank: Decimal
    name: str

    @property
    def cursor(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([str(self.rank), self.name]).encode()).decode()

    @classmethod
    def of_cursor(cls, text: str) -> "Place":
        try:
            match json.loads(base64.urlsafe_b64decode(text)):
                case [str(rank), str(name)] if "\0" not in name and Decimal(rank).is_finite():
                    return cls(Decimal(rank), name)
        except (ValueError, InvalidOperation):
            pass
        raise BadPlace(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which tags, in which order. `owner_id`: only those that he owns; None: all, seen ones too."""

    covered: Range
    now: datetime
    status: Status | None = None
    text: str = ""
    owner: str | None = None
    prefix: str | None = None
    names: tuple[str, ...] | None = None
    owner_id: int | None = None
    sort: str = "used"
    after: Place | None = None
    before: Place | None = None
    rows: int | None = ROWS


@dataclass(slots=True)
class Row:
    """A tag and the budget that it shows. What is seen has no `id` and no budget."""

    id: int | None
    name: str
    description: str
    status: Status
    budget: Budget | None
    is_own: bool  # neither a further one nor a pot
    is_pot: bool
    limit: int | None
    spent: int
    reserved: int
    soft_limit: int | None
    resets_at: datetime | None
    more: int
    forecast: Forecast | None
    cost: int
    requests: int
    rank: Decimal
    owners: list[str] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    version: str = ""
    budget_id: int | None = None

    @property
    def place(self) -> Place:
        return Place(self.rank, self.name)

    @property
    def used(self) -> str:
        return used_text(self.limit, self.spent)

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.spent - self.reserved)

    @property
    def tone(self) -> str:
        """Of its bar: green is for words, a bar that is on track is plain."""
        return self.status.value.tone if self.status.value.tone in ("warn", "bad") else ""

    @property
    def is_refused(self) -> bool:
        """By the budget that it shows; another one may refuse it too."""
        return self.limit is not None and self.spent + self.reserved >= self.limit

    @property
    def is_raised(self) -> bool:
        """For this window alone."""
        return self.budget is not None and self.budget.limit != self.limit


@dataclass(frozen=True, slots=True)
class Roster:
    """`cost` and `tags` are of all that match, whatever page; `counts` whatever status.

    `bill` is of all calls, whatever is asked for beside the range.
    """

    rows: list[Row]
    counts: dict[Status, int]
    tags: int
    cost: int
    bill: Bill
    prefixes: list[str]
    owners: list[str]
    newer: Place | None
    older: Place | None


def read_roster(asked: Question) -> Roster:
    """A page behind `after` or in front of `before`; the whole list where `rows` is None."""
    with connection.cursor() as cursor:
        query = roster_query(asked.sort if asked.sort in RANKS else "used")
        cursor.execute(query, parameters_of(asked))
        columns = [column.name for column in cursor.description][SUMS:]
        found = cursor.fetchall()
    known = [dict(zip(columns, row[SUMS:], strict=True)) for row in found if row[-1] is not None]
    by_status, prefixes, owners, tags, cost, *bill = found[0][:SUMS]
    rows, newer, older = _cut([_row(values, asked.now) for values in known], asked)
    return Roster(
        rows=rows,
        counts={Status[name]: n for name, n in json.loads(by_status).items()},
        tags=tags,
        cost=int(cost),
        bill=Bill(*map(int, bill)),
        prefixes=prefixes or [],
        owners=owners or [],
        newer=newer,
        older=older,
    )


def parameters_of(asked: Question) -> dict[str, Any]:
    """What the statement needs; one row more than is shown tells whether there are others."""
    place = asked.before or asked.after
    return {
        "now": asked.now,
        "zone": settings.REPORT_TIME_ZONE,
        **pieces_of(asked.covered),
        "seen_from": first_day(asked.now),
        "status": asked.status and asked.status.name,
        "text": asked.text.lower(),
        "owner": asked.owner or None,
        "prefix": asked.prefix or None,
        "names": None if asked.names is None else list(asked.names),
        "owner_id": asked.owner_id,
        "rank": place and place.rank,
        "name": place.name if place else "",
        "backward": asked.before is not None,
        "limit": None if asked.rows is None else asked.rows + 1,
    }


def _cut(rows: list[Row], asked: Question) -> tuple[list[Row], Place | None, Place | None]:
    """What is shown, and the places from which the pages around it go on."""
    backward = asked.before is not None
    has_more = asked.rows is not None and len(rows) > asked.rows
    if has_more:
        rows = rows[1:] if backward else rows[:-1]
    if not rows:
        return rows, None, None
    newer = rows[0].place if (has_more if backward else asked.after) else None
    older = rows[-1].place if backward or has_more else None
    return rows, newer, older


def complete(rows: Sequence[Row], now: datetime) -> None:
    """What a page shows beside: budgets and periods, owners, last days; three statements."""
    ids = [row.id for row in rows if row.id is not None]
    tags = {
        tag.pk: tag
        for tag in Tag.objects.filter(pk__in=ids).prefetch_related("owners").only("updated_at")
    }
    complete_budgets(rows, now)
    days = read_days([row.name for row in rows], now)
    for row in rows:
        row.days = days[row.name]
        if row.id is not None:
            row.owners = sorted(owner.get_username() for owner in tags[row.id].owners.all())
            row.version = tags[row.id].updated_at.isoformat()


def complete_budgets(rows: Sequence[Row], now: datetime) -> None:
    """The budgets that they show, and when those reset; one statement, none without rows."""
    budgets = Budget.objects.in_bulk([row.budget_id for row in rows if row.budget_id])
    for row in rows:
        if row.budget_id is None:
            continue
        row.budget = budgets[row.budget_id]
        if row.resets_at is None:  # over, and not opened anew yet
            row.resets_at = window_at(row.budget.schedule, now).ends_at


def _row(values: dict[str, Any], now: datetime) -> Row:
    return Row(
        id=values["id"],
        name=values["name"],
        description=values["description"],
        status=Status[values["status"]],
        budget=None,
        budget_id=values["budget_id"],
        is_own=values["is_own"],
        is_pot=values["is_pot"],
        limit=values["limit"],
        spent=values["spent"],
        reserved=values["reserved"],
        soft_limit=values["soft_limit"],
        resets_at=values["ends_at"],
        more=values["more"],
        forecast=_forecast(values, now),
        cost=values["cost"],
        requests=values["requests"],
        rank=values["rank"],
    )


def _forecast(values: dict[str, Any], now: datetime) -> Forecast | None:
    """As the pure function has it, from the sums that the statement read."""
    if values["forecast"] is None:
        return None
    course = Course(
        starts_at=values["starts_at"],
        ends_at=values["ends_at"],
        spent=Nanos(values["spent"]),
        limit=None if values["limit"] is None else Nanos(values["limit"]),
        first_at=values["first_at"],
    )
    period = Period(values["since"], now, Nanos(int(values["paced"])))
    return look_ahead(course, [period], now).forecast
