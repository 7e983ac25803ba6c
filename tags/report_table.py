"""Report table: a pivot laid out for one measure: rows, columns, the rest, and the sums below.

A sum over tags is more than the bill where calls have several; the footer says by how much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from spend.comparison import change_percent
from spend.pivot import NOTHING, Most, Pivot, Sums, Value
from spend.pivot_sql import SEVERAL, TIMES

SHOWN = Most(rows=50, columns=12)
REST: Sequence[Value] = (None,)  # where a pivot has what has no cells of its own
OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Line:
    """`value` is the dimension's, None of a footer; `before` is None where nothing is compared."""

    name: str
    cells: Sequence[int | None]
    total: int | None
    value: Value = None
    change: int | None = None
    is_new: bool = False
    is_other: bool = False


@dataclass(slots=True)
class ReportTable:
    """`columns` are (value, name); `more` is how many rows and columns are in *Other*."""

    columns: list[tuple[Value, str]]
    lines: list[Line]
    footer: list[Line] = field(default_factory=list)
    rows_more: int = 0
    columns_more: int = 0


def value_of(sums: Sums, measure: str) -> int | None:
    """Of an average, none where there is nothing to divide by."""
    if measure == "average":
        return sums.cost // sums.requests if sums.requests else None
    found: int = getattr(sums, measure)
    return found


def lay_out(
    found: Pivot,
    row: str,
    column: str | None,
    measure: str,
    *,
    before: Mapping[Value, Sums] | None = None,
) -> ReportTable:
    """The largest first, times in their order. `before` are the rows of the range before."""
    rows, rows_left = _ranked(found.rows, row, measure, found.most.rows)
    columns, columns_left = _ranked(found.columns, column, measure, found.most.columns)
    layout = Layout(found, row, column, measure, columns, columns_left)
    lines = [layout.row_of(value, before) for value in rows]
    if rows_left:
        lines.append(layout.rest_of(rows_left))
    heads: list[tuple[Value, str]] = [
        (value, name_of(value, column or "", found.aliases)) for value in columns
    ]
    return ReportTable(
        columns=heads + ([(None, OTHER)] if columns_left else []),
        lines=lines,
        footer=layout.footer(),
        rows_more=len(rows_left),
        columns_more=len(columns_left),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """How lines are cut from a pivot: these columns, and those that are left over as one more."""

    found: Pivot
    row: str
    column: str | None
    measure: str
    columns: Sequence[Value]
    columns_left: Sequence[Value]

    def row_of(self, value: Value, before: Mapping[Value, Sums] | None) -> Line:
        total, compared = self.found.rows[value], {}
        if before is not None:
            compared = _compared(total, before.get(value, NOTHING), self.measure)
        name = name_of(value, self.row, self.found.aliases)
        return self._line(name, self._parts([value]), total, value=value, **compared)

    def rest_of(self, values: Sequence[Value]) -> Line:
        total = Sums.of(self.found.rows[value] for value in values)
        return self._line(OTHER, self._parts(_cells_of(values, self.row)), total, is_other=True)

    def footer(self) -> list[Line]:
        """With tags as rows three lines, of which the last is the bill; else that one."""
        found = self.found
        whole = self._margin(found.columns)
        everything = self._line("All calls", whole, found.total)
        if self.row not in SEVERAL or self.column in SEVERAL:
            return [everything]
        bare = self._margin(found.untagged)
        untagged = self._line("Untagged", bare, found.untagged_total)
        if self.measure == "average":
            return [untagged, everything]
        by_tag = self._parts([*found.rows, *REST])
        over = [c - a - b for a, b, c in zip(by_tag, bare, whole, strict=True)]
        over_all = found.total - found.untagged_total - Sums.of(found.rows.values())
        return [self._line("Counted more than once", over, over_all), untagged, everything]

    def _line(self, name: str, cells: Sequence[Sums], total: Sums, **more: Any) -> Line:
        values = [value_of(cell, self.measure) for cell in cells]
        return Line(name, values, value_of(total, self.measure), **more)

    def _parts(self, rows: Sequence[Value]) -> list[Sums]:
        """The cells of a row, or of several as one."""
        cells, columns = self.found.cells, [[column] for column in self.columns]
        rest = _cells_of(self.columns_left, self.column)
        groups = [*columns, rest] if rest else columns
        return [
            Sums.of(cells[r, c] for r in rows for c in group if (r, c) in cells) for group in groups
        ]

    def _margin(self, of: Mapping[Value, Sums]) -> list[Sums]:
        sums = [of.get(value, NOTHING) for value in self.columns]
        if self.columns_left:
            sums.append(Sums.of(of.get(value, NOTHING) for value in self.columns_left))
        return sums


def _cells_of(left: Sequence[Value], dimension: str | None) -> Sequence[Value]:
    """Where a pivot has the cells of those that are not shown."""
    return REST if left and dimension not in TIMES else left


def name_of(value: Value, dimension: str, aliases: Mapping[Value, str]) -> str:
    """As people call it."""
    if value is None:
        return OTHER
    if isinstance(value, date):
        if dimension == "month":
            return f"{value:%b %Y}"
        day = f"{value.day} {value:%b %Y}"
        return f"week of {day}" if dimension == "week" else day
    if dimension == "key":
        return aliases.get(value) or f"key ...{str(value)[-4:]}"
    return str(value)


def _ranked(
    margin: Mapping[Value, Sums], dimension: str | None, measure: str, most: int | None
) -> tuple[list[Value], list[Value]]:
    """Those that are shown, and those that are not."""
    if dimension in TIMES:
        order = sorted(margin, key=str)
        return (order, []) if most is None else (order[-most:], order[:-most])
    order = sorted(margin, key=lambda value: (-(value_of(margin[value], measure) or 0), str(value)))
    return (order, []) if most is None else (order[:most], order[most:])


def _compared(now: Sums, before: Sums, measure: str) -> dict[str, Any]:
    new, old = value_of(now, measure) or 0, value_of(before, measure) or 0
    return {"change": change_percent(new, old), "is_new": not old and bool(new)}
