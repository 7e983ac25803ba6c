"""Log search: rows of the log by many filters, page by page; a page's cost does not grow with it.

A search goes on from the id of the last row that was seen. Places counted from the start are for
the first rows only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from spend.ids import floor_id
from spend.log_filters import APART, LogSearch, matching
from spend.log_question import parse_id
from spend.log_reader import Bounds, SearchTooSlow, read_rows, seconds_max
from spend.models import Reservation, SpendLog

__all__ = ["LogPage", "LogSearch", "SearchTooSlow", "find_row", "is_running", "search_log"]

COUNTED_MAX = 10_000  # rows that are counted, and that have a page number
SEARCH_SECONDS_MAX = 10
COUNT_SECONDS_MAX = 3
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows, the id to go on from (None at the end), and how many there are, if it was asked."""

    rows: Sequence[SpendLog]
    next: UUID | None
    total: int | None = None
    total_is_capped: bool = False


def search_log(
    search: LogSearch,
    *,
    size: int,
    after: UUID | None = None,
    place: int = 0,
    counts: bool = False,
) -> LogPage:
    """The rows that follow the id `after`, or that begin at a place. Raises SearchTooSlow."""
    with seconds_max(SEARCH_SECONDS_MAX):
        found = read_rows(search, _bounds(search, after), rows_max=size + 1, skip=place)
    following = found[size - 1].id if len(found) > size else None
    total, is_capped = _count(search, place + len(found)) if counts else (None, False)
    return LogPage(found[:size], following, total, is_capped)


def find_row(call_id: str, *, seen_by: UUID | None = None) -> SpendLog | None:
    """The row with our id, else the newest with that id of an upstream's answer."""
    rows = SpendLog.objects.select_related("tag_set")
    if seen_by is not None:
        rows = rows.filter(key_id=seen_by)
    own = parse_id(call_id)
    found = rows.filter(id=own).first() if own is not None else None
    return found or rows.filter(upstream_request_id=call_id).order_by("-id").first()


def is_running(call_id: str, *, seen_by: UUID | None = None) -> bool:
    """Whether a call with our id is admitted and not settled yet."""
    own = parse_id(call_id)
    if own is None:
        return False
    reserved = Reservation.objects.filter(id=own)
    if seen_by is not None:
        reserved = reserved.filter(intent__key_id=str(seen_by))
    return reserved.exists()


def _count(search: LogSearch, seen: int) -> tuple[int, bool]:
    """How many rows there are up to COUNTED_MAX, and whether there may be more.

    A page is not refused because its search has too much to count: then those seen are told.
    """
    try:
        with seconds_max(COUNT_SECONDS_MAX):
            total = _some(matching(search)).count()
    except SearchTooSlow:
        return min(seen, COUNTED_MAX), True
    return min(total, COUNTED_MAX), total > COUNTED_MAX


def _some(rows: QuerySet[SpendLog]) -> QuerySet[SpendLog]:
    return rows.order_by()[: COUNTED_MAX + 1]


def _bounds(search: LogSearch, after: UUID | None) -> Bounds:
    low = FIRST if search.starts_at is None else floor_id(search.starts_at - APART)
    high = LAST if search.ends_at is None else floor_id(search.ends_at + APART)
    if after is None:
        return Bounds(low, high, search.is_ascending)
    if search.is_ascending:
        return Bounds(max(low, UUID(int=min(after.int + 1, LAST.int))), high, ascending=True)
    return Bounds(low, min(high, after))
