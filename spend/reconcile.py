"""Reconcile: count the books again from their rows, and tell every difference. Changes nothing.

    reconcile()                    since the oldest open window began
    reconcile(since=moment)        windows, hours and days that began then or later
    reconcile(since=EVER)          all there is

One snapshot, so it is exact while calls go on. A difference is put right by a person, with a
correction, so that the repair is history too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings

from spend.ids import floor_id
from spend.invariants import LATE_ID_DAYS, PROMISES, QUESTIONS, WINDOWS
from spend.money import to_dollars
from spend.reconciliation import AuditHead, Difference, Reconciliation
from spend.snapshot import Row, Snapshot, take_snapshot

EVER = datetime(1, 1, 1, tzinfo=UTC)
DIFFERENCES_MAX = 100  # of each query are told in full; all are counted
WINDOW_KINDS = {  # the column that says so, and the two amounts that should be the same
    "stray_window": ("is_stray", None),
    "spent": ("is_spent_off", ("paid", "spent")),
    "reserved": ("is_reserved_off", ("held", "reserved")),
    "strict_over_limit": ("is_over_limit", None),
    "standard_over_bound": ("is_over_bound", None),
}
USAGE_SOURCES = ("upstream", "counted", "estimate")

OLDEST_OPEN = "select coalesce(min(starts_at), now()) from spend_budgetwindow where is_open"
WINDOWS_COUNT = "select count(*) from spend_budgetwindow where starts_at >= %(since)s"
RESERVATIONS_COUNT = "select count(*) from spend_reservation"
LOG_COUNTS = """
    select count(*) as rows, count(*) filter (where corrects is not null) as corrections,
           count(*) filter (where 'overrun' = any(flags)) as overruns,
           count(*) filter (where usage_source = 'upstream') as upstream,
           count(*) filter (where usage_source = 'counted') as counted,
           count(*) filter (where usage_source = 'estimate') as estimate
      from spend_spendlog where id >= %(since_id)s"""
JOBS = """
    select job, last_success_at as at from spend_jobrun
    union all
    select 'beat', max(started_at) from spend_jobrun where job in ('rollover', 'sweep')"""
HEAD = "select position, encode(digest, 'hex') as digest from spend_auditseal"
NEWEST_HEAD = f"{HEAD} order by position desc limit 1"
HEAD_AT = f"{HEAD} where position = %(position)s"


def reconcile(
    *, since: datetime | None = None, known_head: AuditHead | None = None
) -> Reconciliation:
    """`known_head` is the newest seal of the audit as told before: it must be there still."""
    if since is None:
        with take_snapshot() as books:
            since = books.value(OLDEST_OPEN)
    late = timedelta(days=LATE_ID_DAYS)
    since_id = UUID(int=0) if since == EVER else floor_id(since - late)
    with take_snapshot(since=since, since_id=since_id, day_zone=settings.REPORT_TIME_ZONE) as books:
        return recount(books, since, known_head)


def recount(books: Snapshot, since: datetime, known_head: AuditHead | None) -> Reconciliation:
    found, counts, windows_off = find_differences(books)
    if known_head is not None and known_head not in heads(books, HEAD_AT, known_head.position):
        found.append(Difference("audit_chain", {"missing_head": str(known_head)}))
        counts["audit_chain"] += 1
    windows = books.value(WINDOWS_COUNT)
    (log,) = books.rows(LOG_COUNTS)
    return Reconciliation(
        checked_at=books.value("select clock_timestamp()"),
        since=None if since == EVER else since,
        windows=windows,
        windows_ok=windows - windows_off,
        counts=counts,
        differences=tuple(found),
        rows=log["rows"],
        corrections=log["corrections"],
        overruns=log["overruns"],
        reservations_open=books.value(RESERVATIONS_COUNT),
        usage_sources={source: log[source] for source in USAGE_SOURCES},
        audit_head=next(iter(heads(books, NEWEST_HEAD)), None),
        jobs={row["job"]: row["at"] for row in books.rows(JOBS)},
    )


def find_differences(books: Snapshot) -> tuple[list[Difference], dict[str, int], int]:
    """The first of each kind, how many there are of each, and how many windows are off."""
    counts = dict.fromkeys(PROMISES, 0)
    found: list[Difference] = []
    wrong, _ = books.first_rows(WINDOWS, count_max=DIFFERENCES_MAX)
    for row in wrong:
        found += judge_window(row)
    if wrong:
        counts |= {kind: wrong[0][f"{kind}_total"] for kind in WINDOW_KINDS}
    for question in QUESTIONS:
        rows, counts[question.kind] = books.first_rows(question.query, count_max=DIFFERENCES_MAX)
        found += [Difference(question.kind, row) for row in rows]
    return found, counts, wrong[0]["windows_off"] if wrong else 0


def judge_window(row: Row) -> Iterator[Difference]:
    """A difference for each thing that is wrong with the window."""
    names = {"budget_id": row["budget"], "window_starts_at": row["starts_at"]}
    for kind, (sign, pair) in WINDOW_KINDS.items():
        if not row[sign]:
            continue
        if kind == "stray_window":
            yield Difference(kind, {"window_id": row["window_id"]})
        elif pair is not None:
            expected, actual = (to_dollars(row[name]) for name in pair)
            yield Difference(kind, names | {"expected": expected, "actual": actual})
        else:
            amounts = ("spent", "reserved", "limit", "excess")
            yield Difference(kind, names | {name: to_dollars(row[name]) for name in amounts})


def heads(books: Snapshot, query: str, position: int = 0) -> list[AuditHead]:
    return [AuditHead(**row) for row in books.rows(query, position=position)]
