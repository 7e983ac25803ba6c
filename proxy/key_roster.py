"""Key roster: a page of keys with how they stand and what they cost; how many there are of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Q
from django.db.models.functions import Coalesce

from proxy.models import APIKey, APIKeyQuerySet
from spend.models import Budget, BudgetWindow
from spend.money import Nanos
from spend.ranges import Range
from spend.standings import Standing, read_standings
from spend.status import Account, Status, status_of
from tags.draws import split_draws

ROWS = 50
LATELY = timedelta(days=90)
NOTHING = Nanos(0)
STATES = ("active", "blocked", "expired", "over")
USE = """
select key_id, coalesce(sum(cost) filter (where starts_at >= %(starts_at)s
                                            and starts_at < %(ends_at)s), 0),
       coalesce(sum(requests) filter (where starts_at >= %(starts_at)s
                                        and starts_at < %(ends_at)s), 0),
       max(starts_at)
  from spend_rollup
 where span = 'day' and starts_at >= %(since)s and key_id = any(%(keys)s)
 group by key_id
"""


@dataclass(frozen=True, slots=True)
class Use:
    """What a key cost in the range, and the day on which it was last used; None: not lately."""

    cost: Nanos = NOTHING
    requests: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """`standing` is of the budget that it shows: the one with the highest share used."""

    key: APIKey
    budget: Budget
    standing: Standing
    more: int
    use: Use
    is_expired: bool
    status: Status
    unused: str

    @property
    def tags(self) -> Sequence[str]:
        found: Sequence[str] = self.key.metadata.get("tags") or ()
        return found

    @property
    def tone(self) -> str:
        return self.status.value.tone if self.status.value.tone in ("warn", "bad") else ""


@dataclass(frozen=True, slots=True)
class KeyRoster:
    rows: list[KeyRow]
    counts: dict[str, int]
    older: str | None


def read_key_roster(
    covered: Range,
    now: datetime,
    *,
    text: str = "",
    state: str = "",
    tag: str = "",
    after: str | None = None,
) -> KeyRoster:
    """By name; `after` is a cursor of this list."""
    keys = _matching(text, tag)
    wanted = keys.filter(_of_state(state, now)) if state else keys
    named = wanted.with_budgets().annotate(name=Coalesce("alias", "ending"))
    if after is not None:
        named = named.filter(_behind(after))
    found = list(named.order_by("name", "id")[: ROWS + 1])
    rows = _rows(found[:ROWS], covered, now)
    older = cursor_of(found[ROWS - 1]) if len(found) > ROWS else None
    return KeyRoster(rows, _counts(keys, now), older)


def cursor_of(key: APIKey) -> str:
    return f"{key.alias or key.ending}\n{key.pk}"


def is_expired(key: APIKey, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def unused_text(key: APIKey, now: datetime) -> str:
    """Said where no use was found; a key younger than what was looked at has none at all."""
    return "never" if key.created_at > now - LATELY else f"not in {LATELY.days} days"


def _matching(text: str, tag: str) -> APIKeyQuerySet:
    keys = APIKey.objects.present()
    if text:
        keys = keys.filter(Q(alias__icontains=text) | Q(ending=text))
    return keys.filter(metadata__tags__contains=tag) if tag else keys


def _of_state(state: str, now: datetime) -> Q:
    expired = Q(expires_at__isnull=False, expires_at__lte=now)
    match state:
        case "blocked":
            return Q(blocked=True)
        case "expired":
            return expired & Q(blocked=False)
        case "over":
            in_time = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
            full = BudgetWindow.objects.open().filter(
                (in_time & Q(limit__lte=F("spent") + F("reserved"))) | Q(limit=0)
            )
            over = full.values("budget_id")
            return Q(budget__in=over) | Q(draws__budget__in=over)
        case _:
            return Q(blocked=False) & ~expired


def _behind(cursor: str) -> Q:
    name, _, pk = cursor.partition("\n")
    try:
        return Q(name__gt=name) | Q(name=name, id__gt=UUID(pk))
    except ValueError:
        return Q(name__gt=name)


def _counts(keys: APIKeyQuerySet, now: datetime) -> dict[str, int]:
    found = keys.aggregate(
        in_all=Count("pk", distinct=True),
        **{f"n_{name}": Count("pk", filter=_of_state(name, now), distinct=True) for name in STATES},
    )
    return {"all": found["in_all"]} | {name: found[f"n_{name}"] for name in STATES}


def _rows(keys: Sequence[APIKey], covered: Range, now: datetime) -> list[KeyRow]:
    drawn = {key.pk: drawn_budgets(key) for key in keys}
    standings = read_standings([budget for own in drawn.values() for budget in own], now)
    uses = read_uses([key.pk for key in keys], covered, now)
    rows = []
    for key in keys:
        budgets = drawn[key.pk]
        shown = max(budgets, key=lambda budget: _share(standings[budget.pk]))
        accounts = [Account(standings[budget.pk], budget.soft_limit) for budget in budgets]
        rows.append(
            KeyRow(
                key=key,
                budget=shown,
                standing=standings[shown.pk],
                more=len(budgets) - 1,
                use=uses.get(key.pk, Use()),
                is_expired=is_expired(key, now),
                status=status_of(accounts, blocked=key.blocked),
                unused=unused_text(key, now),
            )
        )
    return rows


def drawn_budgets(key: APIKey) -> list[Budget]:
    """Its own first, then further ones, then pots."""
    further, pots = split_draws(key.draws.all())
    return [key.budget, *further, *pots]


def read_uses(keys: Sequence[UUID], covered: Range, now: datetime) -> dict[UUID, Use]:
    """Of each that was used in the range or in the 90 days before now; one query."""
    asked: dict[str, Any] = {
        "keys": list(keys),
        "starts_at": covered.starts_at,
        "ends_at": covered.ends_at,
        "since": min(covered.starts_at, now - LATELY),
    }
    with connection.cursor() as cursor:
        cursor.execute(USE, asked)
        return {
            key_id: Use(Nanos(int(cost)), int(requests), last_at)
            for key_id, cost, requests, last_at in cursor.fetchall()
        }


def _share(standing: Standing) -> Fraction:
    """Without a limit last; of nothing at all first."""
    if standing.limit is None:
        return Fraction(-1)
    return Fraction(standing.spent, standing.limit) if standing.limit else Fraction(2**63)
