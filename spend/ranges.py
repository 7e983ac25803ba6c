"""Ranges: the half-open time that a report covers, from the dates or times that were asked for."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from spend.windows import midnight

DAY = timedelta(days=1)


class BadRange(ValueError):
    """`bound`, "start" or "end", cannot be so. The text follows a field's name."""

    def __init__(self, bound: str, text: str) -> None:
        super().__init__(text)
        self.bound = bound


@dataclass(frozen=True, slots=True)
class Range:
    """[starts_at, ends_at); `is_whole_days` when both are midnights of the reports' zone.

    `is_to_now`: it ends later than now, so no call lies behind it.
    """

    starts_at: datetime
    ends_at: datetime
    is_whole_days: bool
    is_to_now: bool = False

    @property
    def span(self) -> str:
        """Which roll-ups give it exactly: those of days, or of hours, which are kept 60 days."""
        return "day" if self.is_whole_days else "hour"


def range_of(
    start: date | datetime | None,
    end: date | datetime | None,
    *,
    days: int,
    now: datetime,
    time_zone: str,
) -> Range:
    """Both bounds, or neither: then the last `days` days, today included. Raises BadRange.

    A start counts from its instant or its midnight on; an end as a date is that whole day, as a
    time it is the first instant that no longer counts.
    """
    if (start is None) != (end is None):
        raise BadRange("end" if end is None else "start", "is needed as well")
    today = now.astimezone(ZoneInfo(time_zone)).date()
    first, last = start or today - (days - 1) * DAY, end or today
    try:
        starts_at = _instant(first, time_zone)
        ends_at = _instant(last if isinstance(last, datetime) else last + DAY, time_zone)
    except OverflowError:
        raise BadRange("start", "must be a time from 1970 to 2199") from None
    if ends_at <= starts_at:
        raise BadRange("end", "must not be before the start")
    has_times = isinstance(first, datetime) or isinstance(last, datetime)
    return Range(starts_at, ends_at, is_whole_days=not has_times, is_to_now=ends_at > now)


def days_of(covered: Range, time_zone: str) -> tuple[date, date]:
    """The first and the last day of which some is in it."""
    zone, last = ZoneInfo(time_zone), covered.ends_at - timedelta(microseconds=1)
    return covered.starts_at.astimezone(zone).date(), last.astimezone(zone).date()


def _instant(bound: date | datetime, time_zone: str) -> datetime:
    return bound if isinstance(bound, datetime) else midnight(bound, time_zone)
