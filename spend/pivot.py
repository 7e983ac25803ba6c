"""Pivot: what calls came to by any two of tag, tag prefix, key, model and time; from roll-ups.

Calls are summed by tag set first, each once; only then is a set counted under each of its tags. So
margins over tags come from the sums themselves, never from adding up tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import sub
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.models import TagSet
from spend.reports import ROWS_MAX, Scope, TooManyLines

Value = str | date | UUID | None
LOCAL_DAY = "(r.starts_at at time zone %(zone)s)"
# Of each dimension that a call has exactly one of: how a roll-up tells it.
PLAIN = {
    "key": "r.key_id",
    "model": "r.model",
    "day": f"{LOCAL_DAY}::date",
    "week": f"date_trunc('week', {LOCAL_DAY})::date",
    "month": f"date_trunc('month', {LOCAL_DAY})::date",
}
# Of those that a call may have several of: what its set says, each value once.
SEVERAL = {
    "tag": "select unnest(sums.tags) as value",
    "prefix": "select distinct split_part(unnest(sums.tags), ':', 1) as value",
}
TYPES = {"key": "uuid", "day": "date", "week": "date", "month": "date"}  # the others are text
BARE, NEITHER = "sums.tags = '{}'", "false"
DIMENSIONS = ("tag", "prefix", "key", "model", "day", "week", "month")
TIMES = ("day", "week", "month")
MEASURES = (
    "cost", "requests", "failed", "refused", "prompt_tokens", "cached_tokens", "completion_tokens",
)  # fmt: skip
TOTALS = ", ".join(f"sum({name})::bigint" for name in MEASURES)


class Sums(NamedTuple):
    """Cost in nano-dollars; requests are all calls but refused ones."""

    cost: int = 0
    requests: int = 0
    failed: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(*map(sub, self, other))

    @classmethod
    def of(cls, parts: Iterable["Sums"]) -> "Sums":
        """Of thousands at once, column by column."""
        listed = list(parts)
        return cls(*map(sum, zip(*listed, strict=True))) if listed else cls()


NOTHING = Sums()


@dataclass(slots=True)
class Pivot:
    """`rows` and `columns` are margins that count each call once; so does `total`.

    The untagged part of a margin is of those calls that carry no tag. `aliases` name the keys.
    """

    cells: dict[tuple[Value, Value], Sums] = field(default_factory=dict)
    rows: dict[Value, Sums] = field(default_factory=dict)
    columns: dict[Value, Sums] = field(default_factory=dict)
    untagged: dict[Value, Sums] = field(default_factory=dict)
    total: Sums = NOTHING
    untagged_total: Sums = NOTHING
    aliases: dict[Value, str] = field(default_factory=dict)


def read_pivot(scope: Scope, row: str, column: str | None) -> Pivot:
    """By the row's dimension and, if there is one, by the column's. Raises TooManyLines.

    `untagged` is by column, and is read only where rows are tags.
    """
    found = Pivot()
    for kind, r, c, alias, is_bare, *numbers in _rows(scope, row, column):
        sums = Sums(*numbers)
        match kind:
            case "cell":
                found.cells[(r, c)] = sums
            case "row":
                found.rows[r] = sums
                if alias:
                    found.aliases[r] = alias
            case "column":
                found.columns[c] = Sums.of((found.columns.get(c, NOTHING), sums))
                if alias:
                    found.aliases[c] = alias
                if is_bare:
                    found.untagged[c] = sums
            case _:
                found.total = Sums.of((found.total, sums))
                if is_bare:
                    found.untagged_total = sums
    return found


def _rows(scope: Scope, row: str, column: str | None) -> list[tuple[Any, ...]]:
    parameters = _parameters(scope)
    with connection.cursor() as cursor:
        cursor.execute(pivot_query(row, column), parameters)
        found = list(cursor.fetchmany(4 * ROWS_MAX + 1))
    if len(found) > ROWS_MAX:
        raise TooManyLines
    return found


@dataclass(frozen=True, slots=True)
class Side:
    """A dimension in the statement: its column, what is joined for it, and its absence."""

    name: str | None
    letter: str

    @property
    def is_plain(self) -> bool:
        return self.name in PLAIN

    @property
    def value(self) -> str:
        return f"sums.{self.letter}" if self.is_plain else f"of_{self.letter}.value"

    @property
    def join(self) -> str:
        if self.name not in SEVERAL:
            return ""
        return f" cross join lateral ({SEVERAL[self.name]}) as of_{self.letter}"

    @property
    def absent(self) -> str:
        """A null of its type, as the parts of a union must agree."""
        return f"null::{TYPES.get(self.name or '', 'text')}"

    @property
    def alias(self) -> str:
        return "max(alias)" if self.name == "key" else "null::text"


def pivot_query(row: str, column: str | None) -> str:
    """One statement: cells, both margins, the total. Names come from the tables above alone."""
    r, c = Side(row, "r"), Side(column, "c")
    parts = [
        _part("row", (r.value, c.absent), r.alias, NEITHER, r.join, [r.value]),
        _part("total", (r.absent, c.absent), "null::text", BARE, "", [BARE]),
    ]
    if column is not None:
        parts += [
            _part("cell", (r.value, c.value), "null::text", NEITHER, r.join + c.join,
                  [r.value, c.value]),
            _part("column", (r.absent, c.value), c.alias, BARE, c.join, [c.value, BARE]),
        ]  # fmt: skip
    plain = [side for side in (r, c) if side.name in PLAIN]
    named = "".join(f", {PLAIN[side.name or '']} as {side.letter}" for side in plain)
    kept = "".join(f", called.{side.letter}" for side in plain)
    alias = "max(r.key_alias)" if "key" in (row, column) else "null::text"
    sums = ", ".join(f"sum(r.{name})::bigint as {name}" for name in MEASURES)
    groups = "".join(f", {PLAIN[side.name or '']}" for side in plain)
    return f"""
with called as materialized (
  select r.tag_set_id{named}, {alias} as alias, {sums}
    from spend_rollup r
   where r.span = %(span)s and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s
     and (%(sets)s::bigint[] is null or r.tag_set_id = any(%(sets)s))
     and (%(key_alias)s::text is null or r.key_alias = %(key_alias)s)
     and (%(key_id)s::uuid is null or r.key_id = %(key_id)s)
     and (%(model)s::text is null or r.model = %(model)s)
   group by r.tag_set_id{groups}
), sums as materialized (
  select s.tags{kept}, called.alias, {", ".join(f"called.{name}" for name in MEASURES)}
    from called join spend_tagset s on s.id = called.tag_set_id
)
{" union all ".join(parts)}
"""


def _part(
    kind: str,
    values: tuple[str, str],
    alias: str,
    bare: str,
    joins: str,
    groups: Sequence[str],
) -> str:
    return (
        f"select '{kind}' as kind, {values[0]} as r, {values[1]} as c, {alias} as alias,"
        f" {bare} as bare, {TOTALS} from sums{joins} group by {', '.join(groups)}"
    )


def _parameters(scope: Scope) -> dict[str, Any]:
    sets: Sequence[int] | None = None
    if scope.tags:
        holding = TagSet.objects.filter(tags__contains=list(scope.tags))
        sets = list(holding.values_list("id", flat=True))
    return {
        "zone": settings.REPORT_TIME_ZONE,
        "span": scope.covered.span,
        "starts_at": scope.covered.starts_at,
        "ends_at": scope.covered.ends_at,
        "sets": sets,
        "key_alias": scope.key_alias,
        "key_id": scope.key_id,
        "model": scope.model,
    }
