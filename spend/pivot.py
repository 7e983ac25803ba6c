"""Pivot: what calls came to by any two of tag, tag prefix, key, model and time; from roll-ups.

Margins over tags come from the sums themselves, never from adding up tags.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from operator import sub
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.models import TagSet
from spend.pieces import pieces_of
from spend.pivot_sql import TIMES, PivotQuery, Side
from spend.reports import ROWS_MAX, Scope, TooManyLines

Value = str | date | UUID | None  # None is the rest, which no row or column is shown for


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


@dataclass(frozen=True, slots=True)
class Most:
    """How many rows and columns have cells of their own; all where it is None, and all times."""

    rows: int | None = None
    columns: int | None = None


@dataclass(slots=True)
class Pivot:
    """`rows` and `columns` are margins that count each call once; so does `total`.

    Cells beyond `most` are summed in the row or the column None. The untagged part of a margin is
    of those calls that carry no tag. `aliases` name the keys.
    """

    most: Most = Most()

    cells: dict[tuple[Value, Value], Sums] = field(default_factory=dict)
    rows: dict[Value, Sums] = field(default_factory=dict)
    columns: dict[Value, Sums] = field(default_factory=dict)
    untagged: dict[Value, Sums] = field(default_factory=dict)
    total: Sums = NOTHING
    untagged_total: Sums = NOTHING
    aliases: dict[Value, str] = field(default_factory=dict)


def read_pivot(
    scope: Scope, row: str, column: str | None, *, measure: str | None = None, most: Most = Most()
) -> Pivot:
    """By the row's dimension and, if there is one, by the column's.

    `untagged` is by column. With a measure, only what it is made of is read. Raises TooManyLines.
    """
    found = Pivot(most)
    rows_most = None if row in TIMES else most.rows
    columns_most = None if column in TIMES else most.columns
    asked = PivotQuery(Side(row, "r", rows_most), Side(column, "c", columns_most), measure)
    for kind, r, c, alias, is_bare, *numbers in _rows(scope, asked.text):
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


def _rows(scope: Scope, query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, _parameters(scope))
        found = list(cursor.fetchmany(ROWS_MAX + 1))
    if len(found) > ROWS_MAX:
        raise TooManyLines
    return found


def _parameters(scope: Scope) -> dict[str, Any]:
    sets: list[int] | None = None
    if scope.tags:
        holding = TagSet.objects.filter(tags__contains=list(scope.tags))
        sets = list(holding.values_list("id", flat=True))
    return {
        "zone": settings.REPORT_TIME_ZONE,
        **pieces_of(scope.covered),
        "sets": sets,
        "key_alias": scope.key_alias,
        "key_id": scope.key_id,
        "model": scope.model,
    }
