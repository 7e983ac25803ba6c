"""Activity: day by day what calls came to, by model, by key and by tag; from the roll-ups alone.

A day's own sums, and those by model and by key, count each call once. Only those by tag count a
call under each of its tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.models import TagSet
from spend.money import Nanos
from spend.ranges import Range

# The days of a page are named, so what lies between their roll-ups is left out at once.
ROLLUPS = """
with rollups as (
  select r.*, (r.starts_at at time zone %(zone)s)::date as day
    from spend_rollup r
   where r.span = %(span)s and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s
     and (%(sets)s::bigint[] is null or r.tag_set_id = any(%(sets)s))
     and (%(key_id)s::uuid is null or r.key_id = %(key_id)s)
     and (%(model)s::text is null or r.model = %(model)s)
)
"""
SUMS = """sum(cost), sum(requests), sum(failed), sum(prompt_tokens), sum(completion_tokens),
          sum(cached_tokens), sum(cache_write_tokens)"""
ANY = "having sum(requests) > 0 or sum(cost) <> 0"  # refused calls alone make no entry
DAYS = f"{ROLLUPS} select day from rollups group by day {ANY} order by day desc"
BY_MODEL_AND_KEY = f"""{ROLLUPS}
select day, model, key_id, max(key_alias), {SUMS} from rollups
 where day = any(%(days)s)
 group by grouping sets ((day), (day, model), (day, key_id), (day, model, key_id))
 {ANY}
"""
BY_TAG_AND_KEY = f"""{ROLLUPS}
select day, tag, key_id, max(key_alias), {SUMS}
  from rollups join spend_tagset s on s.id = rollups.tag_set_id
       cross join unnest(s.tags) as tag
 where day = any(%(days)s) and (%(tags)s::text[] is null or tag = any(%(tags)s))
 group by grouping sets ((day, tag), (day, tag, key_id))
 {ANY}
"""

NOTHING = Nanos(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Requests are all calls but refused ones."""

    spent: Nanos = NOTHING
    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: "Metrics") -> "Metrics":
        return Metrics(
            spent=Nanos(self.spent + other.spent),
            requests=self.requests + other.requests,
            failed=self.failed + other.failed,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(slots=True)
class Share:
    """What one model or tag came to, and of it each key."""

    metrics: Metrics = field(default_factory=Metrics)
    keys: dict[UUID, Metrics] = field(default_factory=dict)


@dataclass(slots=True)
class Day:
    date: date
    metrics: Metrics = field(default_factory=Metrics)
    models: dict[str, Share] = field(default_factory=dict)
    keys: dict[UUID, Metrics] = field(default_factory=dict)
    tags: dict[str, Share] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityScope:
    """Calls with any of these tags, of this key, for this model; None for all."""

    covered: Range
    tags: tuple[str, ...] | None = None
    key_id: UUID | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """The newest day first; `aliases` name the keys that are in it, as their calls last did."""

    days: Sequence[Day]
    days_total: int
    aliases: dict[UUID, str | None]

    @property
    def metrics(self) -> Metrics:
        return sum((day.metrics for day in self.days), Metrics())


def read_activity(scope: ActivityScope, *, skip: int, days_max: int) -> ActivityPage:
    """Days on which there were calls, after the first `skip` of them; no day is split."""
    parameters = _parameters(scope)
    dates = [day for (day,) in _rows(DAYS, parameters)]
    page = {day: Day(day) for day in dates[skip : skip + days_max]}
    aliases: dict[UUID, str | None] = {}
    if page:
        parameters |= {"days": list(page)}
        _add_models_and_keys(page, _rows(BY_MODEL_AND_KEY, parameters), aliases)
        _add_tags(page, _rows(BY_TAG_AND_KEY, parameters))
    return ActivityPage(list(page.values()), len(dates), aliases)


def _add_models_and_keys(
    page: dict[date, Day], rows: Iterable[tuple[Any, ...]], aliases: dict[UUID, str | None]
) -> None:
    for on, model, key_id, alias, *numbers in rows:
        day, metrics = page[on], _metrics(numbers)
        match model, key_id:
            case None, None:
                day.metrics = metrics
            case None, _:
                day.keys[key_id] = metrics
                aliases[key_id] = alias
            case _, None:
                day.models.setdefault(model, Share()).metrics = metrics
            case _:
                day.models.setdefault(model, Share()).keys[key_id] = metrics


def _add_tags(page: dict[date, Day], rows: Iterable[tuple[Any, ...]]) -> None:
    for on, tag, key_id, _, *numbers in rows:
        share = page[on].tags.setdefault(tag, Share())
        if key_id is None:
            share.metrics = _metrics(numbers)
        else:
            share.keys[key_id] = _metrics(numbers)


def _parameters(scope: ActivityScope) -> dict[str, Any]:
    sets = None
    if scope.tags is not None:
        found = TagSet.objects.filter(tags__overlap=list(scope.tags))
        sets = list(found.values_list("id", flat=True))
    return {
        "zone": settings.REPORT_TIME_ZONE,
        "span": scope.covered.span,
        "starts_at": scope.covered.starts_at,
        "ends_at": scope.covered.ends_at,
        "sets": sets,
        "tags": None if scope.tags is None else list(scope.tags),
        "key_id": scope.key_id,
        "model": scope.model,
    }


def _rows(query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _metrics(numbers: Sequence[Any]) -> Metrics:
    cost, requests, failed, prompt_tokens, completion_tokens, cached_tokens, written = map(
        int, numbers
    )
    return Metrics(
        spent=Nanos(cost),
        requests=requests,
        failed=failed,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_tokens=cached_tokens,
        cache_write_tokens=written,
    )
