"""Log sums: what the calls of a search came to, from roll-ups; the log itself is not read.

Roll-ups know tags, key, model and the hour. Whatever else is asked for they cannot tell.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection

from spend.log_filters import LogSearch, tag_sets
from spend.money import Nanos
from spend.pieces import in_range, pieces_of
from spend.ranges import Range

SUM = f"""
select coalesce(sum(cost), 0), coalesce(sum(requests + refused), 0) from spend_rollup r
 where {in_range()}
   and (%(sets)s::bigint[] is null or tag_set_id = any(%(sets)s))
   and (%(keys)s::uuid[] is null or key_id = any(%(keys)s))
   and (%(model)s::text is null or model = %(model)s)
"""
NAMES = """
select coalesce(array_agg(distinct key_alias) filter (where key_alias is not null), '{}'),
       coalesce(array_agg(distinct model), '{}')
  from spend_rollup where span = 'day' and starts_at >= %s
"""


@dataclass(frozen=True, slots=True)
class LogSum:
    """Calls are all, refused ones too."""

    spent: Nanos
    calls: int


@dataclass(frozen=True, slots=True)
class Names:
    """What keys and models were called lately, for who looks for one."""

    keys: list[str]
    models: list[str]


def is_summed(search: LogSearch) -> bool:
    """Whether roll-ups know all that is asked for."""
    known = replace(
        LogSearch(),
        starts_at=search.starts_at,
        ends_at=search.ends_at,
        tags=search.tags,
        untagged=search.untagged,
        any_of=search.any_of,
        key_ids=search.key_ids,
        model_asked=search.model_asked,
        is_ascending=search.is_ascending,
    )
    return search == known


def read_log_sum(search: LogSearch, covered: Range) -> LogSum:
    """Each call once. Only for a search that `is_summed`, in the range of its times."""
    sets = tag_sets(search)
    keys = search.keys
    parameters: dict[str, Any] = {
        **pieces_of(covered),
        "sets": None if sets is None else list(sets),
        "keys": keys,
        "model": search.model_asked,
    }
    with connection.cursor() as cursor:
        cursor.execute(SUM, parameters)
        spent, calls = cursor.fetchone()
    return LogSum(Nanos(int(spent)), int(calls))


def read_names(since: datetime) -> Names:
    """Of calls since that day."""
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [since])
        keys, models = cursor.fetchone()
    return Names(sorted(keys), sorted(models))
