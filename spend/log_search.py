"""Log search: rows of the log by many filters, page by page; a page's cost does not grow with it.

Each search has a range of ids, which is a range of time and of partitions, and goes on from the id
of the last row that was seen. Places counted from the start are for the first rows only.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet

from spend.ids import floor_id
from spend.models import Reservation, SpendLog, TagSet

COUNTED_MAX = 10_000  # rows that are counted, and that have a page number
SEARCH_SECONDS_MAX = 10


class SearchTooSlow(Exception):
    """More than can be searched at once; a shorter time, or another filter, would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSearch:
    """All filters that are given must hold. `tags` are all on the call, in any order.

    `model` is what was asked for or what the upstream served; `request_id` ours, or that of the
    upstream's answer. `seen_by` is a key that may see its own rows only.
    """

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    tags: tuple[str, ...] = ()
    untagged: bool = False
    key_id: UUID | None = None
    key_alias: str | None = None
    model: str | None = None
    deployment_id: UUID | None = None
    status: str | None = None
    cost_min: int | None = None
    cost_max: int | None = None
    end_user: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    error_type: str | None = None
    seen_by: UUID | None = None
    is_ascending: bool = False


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
    found = filtered(search)
    if after is not None:
        beyond = found.filter(id__gt=after) if search.is_ascending else found.filter(id__lt=after)
    else:
        beyond = found
    ordered = beyond.order_by("id" if search.is_ascending else "-id").select_related("tag_set")
    with _seconds_max():
        rows = list(ordered[place : place + size + 1])
        total = found.order_by()[: COUNTED_MAX + 1].count() if counts else None
    following = rows[size - 1].id if len(rows) > size else None
    is_capped = total is not None and total > COUNTED_MAX
    return LogPage(rows[:size], following, min(total, COUNTED_MAX) if total else total, is_capped)


def find_row(call_id: str, *, seen_by: UUID | None = None) -> SpendLog | None:
    """The row with our id, else the newest with that id of an upstream's answer."""
    own = _parse_id(call_id)
    rows = SpendLog.objects.select_related("tag_set").filter(_own(seen_by))
    if own is not None:
        return rows.filter(id=own).first()
    return rows.filter(upstream_request_id=call_id).order_by("-id").first()


def is_running(call_id: str, *, seen_by: UUID | None = None) -> bool:
    """Whether a call with our id is admitted and not settled yet."""
    own = _parse_id(call_id)
    if own is None:
        return False
    reserved = Reservation.objects.filter(id=own)
    if seen_by is not None:
        reserved = reserved.filter(intent__key_id=str(seen_by))
    return reserved.exists()


def filtered(search: LogSearch) -> QuerySet[SpendLog]:
    """The rows of a search, in no order."""
    rows = SpendLog.objects.filter(_own(search.seen_by))
    if search.starts_at is not None:
        rows = rows.filter(id__gte=floor_id(search.starts_at))
    if search.ends_at is not None:
        rows = rows.filter(id__lt=floor_id(search.ends_at))
    for name, value in (
        ("key_id", search.key_id),
        ("key_alias", search.key_alias),
        ("deployment_id", search.deployment_id),
        ("status", search.status),
        ("cost__gte", search.cost_min),
        ("cost__lte", search.cost_max),
        ("end_user", search.end_user),
        ("session_id", search.session_id),
        ("error__type", search.error_type),
    ):
        if value is not None:
            rows = rows.filter(**{name: value})
    if search.model is not None:
        rows = rows.filter(Q(model=search.model) | Q(upstream_model=search.model))
    if search.request_id is not None:
        own = _parse_id(search.request_id)
        theirs = Q(upstream_request_id=search.request_id)
        rows = rows.filter(theirs if own is None else Q(id=own))
    return rows.filter(_tagged(search))


def _tagged(search: LogSearch) -> Q:
    """Tag sets are few beside calls: their ids are looked up first, and the log is asked by id."""
    if search.untagged:
        return Q(tag_set_id__in=list(TagSet.objects.filter(tags=[]).values_list("id", flat=True)))
    if search.tags:
        sets = TagSet.objects.filter(tags__contains=list(search.tags))
        return Q(tag_set_id__in=list(sets.values_list("id", flat=True)))
    return Q()


def _own(seen_by: UUID | None) -> Q:
    return Q() if seen_by is None else Q(key_id=seen_by)


def _parse_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@contextmanager
def _seconds_max() -> Iterator[None]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"set local statement_timeout = '{SEARCH_SECONDS_MAX}s'")
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise SearchTooSlow from None
        raise
