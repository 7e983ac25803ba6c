"""Back-test: what a budget would have done to the calls of its last windows; writes nothing.

Each window adds up the cost of past calls, hour by hour, until the limit is reached; what follows
counts as refused. As if callers had kept sending; calls that were refused at the time cost nothing
and are not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spend.buckets import HOUR, HOURS_KEPT, Bucket, Payers, Question, first_midnight, read_buckets
from spend.money import Nanos
from spend.status import AT_RISK_PERCENT, percent_used
from spend.windows import Schedule, Span, window_at

WINDOWS = 6
LOOK_BACK = timedelta(days=400)
WINDOW_MIN = HOUR
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Tested:
    """One window: what its calls came to, and what would not have been admitted.

    `ends_at` is the window's end, or now; `ran_out_at` the end of the hour in which the limit was
    reached, or of the day where hours are gone.
    """

    starts_at: datetime
    ends_at: datetime
    is_running: bool
    limit: Nanos
    spent: Nanos
    ran_out_at: datetime | None
    refused_calls: int
    refused_spend: Nanos

    @property
    def refused_for(self) -> timedelta:
        return timedelta() if self.ran_out_at is None else self.ends_at - self.ran_out_at

    @property
    def percent(self) -> int | None:
        return percent_used(self.limit, self.spent)

    @property
    def tone(self) -> str:
        """Of its bar: bad where it ran out, warn where it came near."""
        if self.ran_out_at is not None:
            return "bad"
        return "warn" if (self.percent or 0) >= AT_RISK_PERCENT else ""


@dataclass(frozen=True, slots=True)
class BackTest:
    """The oldest window first; none where there is no history. The last one is still running."""

    windows: tuple[Tested, ...]
    is_too_short: bool = False

    @property
    def refused_windows(self) -> list[Tested]:
        """Those in which anything would have been refused."""
        return [tested for tested in self.windows if tested.refused_calls]

    @property
    def refused_calls(self) -> int:
        return sum(tested.refused_calls for tested in self.windows)

    @property
    def refused_spend(self) -> Nanos:
        return Nanos(sum(tested.refused_spend for tested in self.windows))


def is_too_short(schedule: Schedule, now: datetime) -> bool:
    span = window_at(schedule, now)
    return span.ends_at is not None and span.ends_at - span.starts_at < WINDOW_MIN


def spans_to_test(schedule: Schedule, now: datetime) -> list[Span]:
    """The window of now and the five before it, the oldest first; none that began too long ago.

    A budget that never resets is tested as if it had been made as long ago as one looks back.
    """
    oldest = now - LOOK_BACK
    if schedule.duration is None:
        return [Span(oldest, None)]
    spans = [window_at(schedule, now)]
    while len(spans) < WINDOWS:
        earlier = window_at(schedule, spans[-1].starts_at - INSTANT)
        if earlier.starts_at < oldest:
            break
        spans.append(earlier)
    return spans[::-1]


def back_test(
    spans: Sequence[Span], buckets: Sequence[Bucket], limit: Nanos, now: datetime
) -> BackTest:
    """A bucket belongs to the window in which it begins. Windows before the first call are none."""
    used = [bucket for bucket in buckets if bucket.requests or bucket.spent]
    if not used:
        return BackTest(())
    first_at = used[0].starts_at
    known = [span for span in spans if span.ends_at is None or span.ends_at > first_at]
    return BackTest(tuple(_test(span, used, limit, now) for span in known))


def read_back_test(payers: Payers, schedule: Schedule, limit: Nanos, now: datetime) -> BackTest:
    """By hour, and by day where hours are gone; one query."""
    if is_too_short(schedule, now):
        return BackTest((), is_too_short=True)
    spans = spans_to_test(schedule, now)
    return back_test(spans, read_history(payers, spans[0].starts_at, now), limit, now)


def read_history(payers: Payers, since: datetime, now: datetime) -> list[Bucket]:
    """Days as far as hours are gone, then hours; one query."""
    since = max(since, now - LOOK_BACK)
    hours_from = first_midnight(now - HOURS_KEPT)
    if since >= hours_from:
        return read_buckets([Question(payers, "hour", since, now)])[0]
    by_day = Question(payers, "day", since, hours_from)
    days, hours = read_buckets([by_day, Question(payers, "hour", hours_from, now)])
    return [*days, *hours]


def _test(span: Span, buckets: Sequence[Bucket], limit: Nanos, now: datetime) -> Tested:
    is_running = span.ends_at is None or span.ends_at > now
    ends_at = now if is_running or span.ends_at is None else span.ends_at
    inside = [bucket for bucket in buckets if span.starts_at <= bucket.starts_at < ends_at]
    spent, calls, refused_spend = 0, 0, 0
    ran_out_at = span.starts_at if limit == 0 else None
    for bucket in inside:
        if ran_out_at is not None:
            calls += bucket.requests
            refused_spend += bucket.spent
        elif spent + bucket.spent >= limit:
            ran_out_at = min(bucket.ends_at, ends_at)
        spent += bucket.spent
    return Tested(
        starts_at=span.starts_at,
        ends_at=ends_at,
        is_running=is_running,
        limit=limit,
        spent=Nanos(spent),
        ran_out_at=ran_out_at,
        refused_calls=calls,
        refused_spend=Nanos(refused_spend),
    )
