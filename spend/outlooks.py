"""Outlooks: the forecasts of many windows, in two queries however many they are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from spend.buckets import Grain, Payers, Question, read_buckets
from spend.forecast import (
    PERIODS,
    WEEK,
    Course,
    Outlook,
    is_early,
    is_foreseeable,
    look_ahead,
    paced_periods,
    period_length,
)
from spend.standings import Standing

# When a set `s` first called, by two descents of an index: by the hour, or by the day where that
# hour is gone.
FIRST_CALL = """
  lateral (select case when h.at < d.at + interval '25 hours' then h.at else d.at end as at
             from (select r.starts_at as at from spend_rollup r
                    where r.tag_set_id = s.id and r.span = 'day' order by r.starts_at limit 1) d
             left join (select r.starts_at as at from spend_rollup r
                         where r.tag_set_id = s.id and r.span = 'hour'
                         order by r.starts_at limit 1) h on true) first
"""
FIRST_CALLS = f"""
select asked.n, min(first.at)
  from unnest(%(n)s::int[], %(names)s::text[]) as asked(n, name)
  join spend_tagset s on s.tags @> array[asked.name]
 cross join {FIRST_CALL}
 group by asked.n
"""
FIRST_KEY_CALLS = """
select key_id, min(starts_at) from spend_rollup
 where span = 'day' and key_id = any(%(key_ids)s) group by key_id
"""


def read_first_calls(payers: Sequence[Payers]) -> list[datetime | None]:
    """When each first called, as fine as the roll-ups are: by the hour for tags."""
    tags = [(n, name) for n, payer in enumerate(payers) for name in payer.tags]
    found: dict[int, datetime] = {}
    with connection.cursor() as cursor:
        asked: dict[str, Any] = {"n": [n for n, _ in tags], "names": [name for _, name in tags]}
        cursor.execute(FIRST_CALLS, asked)
        found.update(cursor.fetchall())
    by_key = _first_calls_of_keys(payers)
    for n, payer in enumerate(payers):
        moments = [by_key[key_id] for key_id in payer.key_ids if key_id in by_key]
        if n in found:
            moments.append(found[n])
        if moments:
            found[n] = min(moments)
    return [found.get(n) for n in range(len(payers))]


def course_of(
    standing: Standing, first_at: datetime | None, refused_since: datetime | None = None
) -> Course:
    return Course(
        starts_at=standing.starts_at,
        ends_at=standing.resets_at,
        spent=standing.spent,
        limit=standing.limit,
        first_at=first_at,
        refused_since=refused_since,
    )


def read_outlooks(asked: Sequence[tuple[Payers, Course]], now: datetime) -> list[Outlook]:
    """One for each, in their order; one query."""
    questions = {
        n: pace_question(payers, course, now)
        for n, (payers, course) in enumerate(asked)
        if is_foreseeable(course) and not is_early(course, now)
    }
    buckets = dict(zip(questions, read_buckets(list(questions.values())), strict=True))
    return [
        look_ahead(course, paced_periods(course, buckets.get(n, []), now), now)
        for n, (_, course) in enumerate(asked)
    ]


def pace_question(payers: Payers, course: Course, now: datetime) -> Question:
    """The buckets of the last four periods: weeks by the day, what is shorter by the hour."""
    assert course.length is not None
    length, until = period_length(course.length), course.until(now)
    grain: Grain = "day" if length >= WEEK else "hour"
    return Question(payers, grain, until - PERIODS * length, until)


def _first_calls_of_keys(payers: Sequence[Payers]) -> Mapping[object, datetime]:
    key_ids = list({key_id for payer in payers for key_id in payer.key_ids})
    if not key_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(FIRST_KEY_CALLS, {"key_ids": key_ids})
        return dict(cursor.fetchall())
