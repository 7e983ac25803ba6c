"""Forecast: what a window will come to at the present pace, and when its limit is reached.

Pure. The rate is what was spent over a whole period that ended now: 7 days where windows are that
long or longer, 24 hours from one day on, else the length of a window. Of one who is refused now the
period ended when that began; of one who has called for less than a period it began with the first
call. The band is what the slowest and the fastest of the last four such periods would come to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spend.buckets import Bucket, microseconds, spent_between
from spend.money import Nanos

WEEK, DAY = timedelta(days=7), timedelta(days=1)
WINDOW_MIN = timedelta(hours=1)
PERIODS = 4
EARLY_MAX = timedelta(days=3)
EARLY_SHARE = 10  # a tenth of the window is history enough, where that is less


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime
    spent: Nanos

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.starts_at


@dataclass(frozen=True, slots=True)
class Course:
    """Where a window stands: `until` is now, or when calls began to be refused."""

    starts_at: datetime
    ends_at: datetime | None
    spent: Nanos
    limit: Nanos | None
    first_at: datetime | None  # the first call that was ever made
    refused_since: datetime | None = None

    @property
    def length(self) -> timedelta | None:
        return None if self.ends_at is None else self.ends_at - self.starts_at

    def until(self, now: datetime) -> datetime:
        return self.refused_since or now


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is spent at the window's end; `rate` is nano-dollars a day, for people to read."""

    low: Nanos
    middle: Nanos
    high: Nanos
    rate: Nanos
    reached_at: datetime | None  # before the window's end, and not yet

    def exceeds(self, limit: Nanos | None) -> bool:
        return limit is not None and self.middle > limit


@dataclass(frozen=True, slots=True)
class Outlook:
    """`forecast` is None where none is made, and where it is too early to say."""

    forecast: Forecast | None = None
    is_early: bool = False


def period_length(window: timedelta) -> timedelta:
    """Over how long the pace of such windows is measured."""
    if window >= WEEK:
        return WEEK
    return DAY if window >= DAY else window


def is_foreseeable(course: Course) -> bool:
    """Whether such a window is ever forecast: it ends, and takes an hour at least."""
    return course.length is not None and course.length >= WINDOW_MIN


def is_early(course: Course, now: datetime) -> bool:
    if course.first_at is None or course.length is None:
        return True
    history = course.until(now) - course.first_at
    return history < min(EARLY_MAX, course.length // EARLY_SHARE)


def paced_periods(course: Course, buckets: Sequence[Bucket], now: datetime) -> list[Period]:
    """The last four whole periods, the newest first; of a young one what there is, at least one."""
    if course.first_at is None or course.length is None:
        return []
    length, until = period_length(course.length), course.until(now)
    newest = (max(until - length, course.first_at), until)
    older = [(until - (n + 1) * length, until - n * length) for n in range(1, PERIODS)]
    spans = [newest, *((start, end) for start, end in older if start >= course.first_at)]
    return [
        Period(start, end, spent_between(buckets, start, end))
        for start, end in spans
        if end > start
    ]


def look_ahead(course: Course, periods: Sequence[Period], now: datetime) -> Outlook:
    """`periods` are those of `paced_periods`."""
    if not is_foreseeable(course):
        return Outlook()
    if is_early(course, now) or not periods:
        return Outlook(is_early=True)
    assert course.ends_at is not None
    left = max(timedelta(), course.ends_at - now)
    ends = [course.spent + _over(period, left) for period in periods]
    return Outlook(
        Forecast(
            low=Nanos(min(ends)),
            middle=Nanos(ends[0]),
            high=Nanos(max(ends)),
            rate=Nanos(_over(periods[0], DAY)),
            reached_at=_reached_at(course, periods[0], now),
        )
    )


def _over(period: Period, length: timedelta) -> int:
    """What the period's pace comes to over that length, downward."""
    return period.spent * microseconds(length) // microseconds(period.length)


def _reached_at(course: Course, period: Period, now: datetime) -> datetime | None:
    if course.limit is None or course.spent >= course.limit or period.spent <= 0:
        return None
    missing = course.limit - course.spent
    wait = missing * microseconds(period.length) // period.spent
    assert course.ends_at is not None
    if wait >= microseconds(max(timedelta(), course.ends_at - now)):
        return None
    return now + timedelta(microseconds=wait)
