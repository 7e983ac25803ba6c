"""Snapshot: queries that are all answered as of one moment, and change nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

MEMORY = "64MB"  # for each step of a query; what needs more is sorted on disk

Row = dict[str, Any]


class Snapshot:
    """`values` are the parameters of every query."""

    def __init__(self, cursor: CursorWrapper, values: Mapping[str, Any]) -> None:
        self._cursor = cursor
        self._values = values

    def rows(self, query: str, **values: Any) -> list[Row]:
        self._cursor.execute(query, {**self._values, **values})
        columns = [column.name for column in self._cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in self._cursor.fetchall()]

    def first_rows(self, query: str, *, count_max: int) -> tuple[list[Row], int]:
        """No more rows than that, and how many there are."""
        found = self.rows(
            f"select count(*) over () as of_all, q.* from ({query}) q limit {count_max}"
        )
        total = found[0]["of_all"] if found else 0
        for row in found:
            del row["of_all"]
        return found, total

    def value(self, query: str, **values: Any) -> Any:
        """The first column of the first row; None if there is none."""
        self._cursor.execute(query, {**self._values, **values})
        row = self._cursor.fetchone()
        return row and row[0]


@contextmanager
def take_snapshot(**values: Any) -> Iterator[Snapshot]:
    """Read-only, while others go on writing. Within a transaction of the caller's it is that."""
    is_ours = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_ours:
            cursor.execute("set transaction isolation level repeatable read, read only")
            # Before the snapshot is taken: no month of the log leaves while it is read.
            cursor.execute("lock table spend_spendlog in access share mode")
        cursor.execute(f"set local work_mem = '{MEMORY}'")
        yield Snapshot(cursor, values)
