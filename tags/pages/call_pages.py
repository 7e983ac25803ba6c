"""Call pages: a page of the log by cursor, newest first; never by number, never counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from spend.log_question import parse_id
from spend.log_search import LogPage, LogSearch, SearchTooSlow, search_log
from spend.models import SpendLog

ROWS = 50


@dataclass(frozen=True, slots=True)
class CallPage:
    """Rows, and the ids next to which the pages around it begin. What is no cursor is none."""

    rows: Sequence[SpendLog] = ()
    newer: UUID | None = None
    older: UUID | None = None
    is_too_slow: bool = False


def read_call_page(search: LogSearch, asked: Mapping[str, str]) -> CallPage:
    """`asked` may have `before` or `after`, the id of the row at the edge of the page left."""
    before, after = (parse_id(asked.get(name)) for name in ("before", "after"))
    try:
        if after is not None:
            return _upward(_page(search, after, is_ascending=True))
        found = _page(search, before)
    except SearchTooSlow:
        return CallPage(is_too_slow=True)
    newer = found.rows[0].id if found.rows and before is not None else None
    return CallPage(found.rows, newer, found.next)


def _upward(found: LogPage) -> CallPage:
    rows = found.rows[::-1]
    if not rows:
        return CallPage()
    return CallPage(rows, rows[0].id if found.next is not None else None, rows[-1].id)


def _page(search: LogSearch, after: UUID | None, *, is_ascending: bool = False) -> LogPage:
    return search_log(replace(search, is_ascending=is_ascending), size=ROWS, after=after)
