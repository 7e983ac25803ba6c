"""Refusals: how many calls of a tag were turned away, and by which budget; from the log's index of
refused rows alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from spend.ids import floor_id
from spend.log_filters import APART

COUNTED_MAX = 10_000

COUNT = """
with refused as (
  select l.error from spend_spendlog l
   where l.tag_set_id in (select id from spend_tagset where tags @> array[%(tag)s])
     and l.status = 'refused' and l.id >= %(low)s and l.at >= %(since)s
   limit %(rows_max)s
)
select error->>'budget', count(*) from refused group by 1
"""


@dataclass(frozen=True, slots=True)
class Refusals:
    """`by_budget` has public ids; `others` are refusals for other reasons, such as rate limits.

    With `is_capped` there are more.
    """

    by_budget: Mapping[str, int]
    others: int
    is_capped: bool

    @property
    def count(self) -> int:
        return sum(self.by_budget.values()) + self.others


def read_refusals(tag: str, since: datetime) -> Refusals:
    parameters: dict[str, Any] = {
        "tag": tag,
        "since": since,
        "low": floor_id(since - APART),
        "rows_max": COUNTED_MAX + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(COUNT, parameters)
        found = dict(cursor.fetchall())
    is_capped = sum(found.values()) > COUNTED_MAX
    others = found.pop(None, 0)
    return Refusals(found, others, is_capped)
