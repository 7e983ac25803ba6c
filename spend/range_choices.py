"""Range choices: the ranges that pages offer, each with the one that it is compared with."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from spend.comparison import range_before, same_days_before
from spend.ranges import Range
from spend.windows import midnight, open_zone

DAY = timedelta(days=1)
MONTH_TO_DATE = "month"
CHOICES = {
    "today": "Today",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    MONTH_TO_DATE: "Month to date",
    "last-month": "Last month",
    "90d": "Last 90 days",
    "year": "Year to date",
}
BEFORE = {
    MONTH_TO_DATE: "against the month before",
    "last-month": "against the month before",
    "year": "against as many days before",
    "today": "against yesterday",
}
LENGTHS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True, slots=True)
class RangeChoice:
    """`before_text` says in words what `before` is."""

    key: str
    covered: Range
    before: Range

    @property
    def label(self) -> str:
        return CHOICES[self.key]

    @property
    def before_text(self) -> str:
        return BEFORE.get(self.key, f"against the {LENGTHS.get(self.key)} days before")


def choose_range(key: str | None, now: datetime, *, time_zone: str) -> RangeChoice:
    """What is not offered means month to date. Days are those of the zone, today included."""
    known = key if key in CHOICES else MONTH_TO_DATE
    assert known is not None
    first, end = _days(known, now.astimezone(open_zone(time_zone)).date())
    ends_at = midnight(end, time_zone)
    covered = Range(
        midnight(first, time_zone), ends_at, is_whole_days=True, is_to_now=ends_at > now
    )
    if known in (MONTH_TO_DATE, "last-month"):
        return RangeChoice(known, covered, same_days_before(covered, time_zone=time_zone))
    return RangeChoice(known, covered, range_before(covered, time_zone=time_zone))


def _days(key: str, today: date) -> tuple[date, date]:
    """Half-open."""
    first = today.replace(day=1)
    match key:
        case "last-month":
            return (first - DAY).replace(day=1), first
        case "month":
            return first, today + DAY
        case "year":
            return today.replace(month=1, day=1), today + DAY
        case _:
            return today - (LENGTHS[key] - 1) * DAY, today + DAY
