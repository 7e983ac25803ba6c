"""Windows: duration or calendar word, zone, anchor, now -> [starts_at, ends_at).

Windows of a schedule tile time: each ends where the next one starts, in both directions, so any
instant lies in exactly one. A *length* is elapsed time counted from an anchor and knows no
calendar. A *period* follows the local clock of a zone: a boundary is the first instant at which
that clock shows it, or shows more when the clock skips it.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LENGTH_DAYS_MAX = 3660
LENGTH_SECONDS_MAX = LENGTH_DAYS_MAX * 86_400
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

START_MIN = datetime(1970, 1, 1, tzinfo=UTC)
START_MAX = datetime(2200, 1, 1, tzinfo=UTC)

_HOUR = timedelta(hours=1)
_FIRST_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - what a local clock shows has no zone
_FIRST_DAY = datetime(1970, 1, 1)  # noqa: DTZ001
_LENGTH = re.compile(r"([1-9][0-9]{0,9})([smhdw])")

LENGTH_ALLOWED = (
    "a whole number with s, m, h, d or w, from 1 second to 3660 days (such as 1h, 30d, 2w)"
)


class BadDuration(ValueError):
    """Not a duration. The text is for the client and follows a field's name."""


class BadStart(ValueError):
    """A start that this duration cannot have. The text follows a field's name."""


class BadTimeZone(ValueError):
    """Not the name of a time zone. The text follows a field's name."""


@dataclass(frozen=True, slots=True)
class Length:
    """Elapsed time; a day is 86,400 seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Period:
    """So many calendar units of a zone; `monthly` equals `1mo`, `yearly` equals `12mo`."""

    unit: Literal["hour", "day", "week", "month"]
    count: int = 1


PERIODS = {
    "hourly": Period("hour"),
    "daily": Period("day"),
    "weekly": Period("week"),
    "monthly": Period("month"),
    "quarterly": Period("month", 3),
    "yearly": Period("month", 12),
    **{f"{months}mo": Period("month", months) for months in (1, 2, 3, 4, 6, 12)},
}

DURATION_ALLOWED = f"{LENGTH_ALLOWED}, or one of {', '.join(PERIODS)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a budget's windows start and end; a duration of None never resets.

    `anchor` is the budget's creation or the last change of its schedule; `start`, if given, takes
    its place for lengths and gives periods their phase. Both are aware, and whole seconds count.
    Raises BadDuration, BadTimeZone or BadStart.
    """

    duration: str | None
    anchor: datetime
    time_zone: str = "UTC"
    start: datetime | None = None

    def __post_init__(self) -> None:
        if self.anchor.tzinfo is None or (self.start and self.start.tzinfo is None):
            raise ValueError("a schedule's times are aware")
        open_zone(self.time_zone)
        parsed = None if self.duration is None else parse_duration(self.duration)
        if self.start is None:
            return
        if parsed == PERIODS["hourly"]:
            raise BadStart("is not allowed with hourly, which has no phase")
        if not START_MIN <= self.start < START_MAX:
            raise BadStart("must be a time from 1970 to 2199")


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open [starts_at, ends_at) in UTC; `ends_at` is None when it never ends."""

    starts_at: datetime
    ends_at: datetime | None


def window_at(schedule: Schedule, now: datetime) -> Span:
    """The one window that `now` lies in.

    Without a duration there is one window only, which holds whatever `now` is.
    """
    origin = (schedule.start or schedule.anchor).astimezone(UTC).replace(microsecond=0)
    if schedule.duration is None:
        return Span(origin, None)
    now = now.astimezone(UTC)
    match parse_duration(schedule.duration):
        case Length(seconds):
            return _elapsed_span(origin, timedelta(seconds=seconds), now)
        case Period("hour"):
            return _span_around(now, _hours_near(now, open_zone(schedule.time_zone)))
        case period:
            zone = open_zone(schedule.time_zone)
            base = _phase(schedule.start and origin, period, zone)
            return _span_around(now, _boundaries_near(now, period, base, zone))


def next_spans(schedule: Schedule, now: datetime, count: int) -> list[Span]:
    """The windows that follow the one `now` lies in; none when that one never ends."""
    spans: list[Span] = []
    ends_at = window_at(schedule, now).ends_at
    while ends_at is not None and len(spans) < count:
        spans.append(window_at(schedule, ends_at))
        ends_at = spans[-1].ends_at
    return spans


def parse_duration(text: str) -> Length | Period:
    """A length (`30d`) or a period (`monthly`); the whole text must match, in lower case."""
    period = PERIODS.get(text) if isinstance(text, str) else None
    return period or Length(_length_seconds(text, DURATION_ALLOWED))


def length_seconds(text: str) -> int:
    """Seconds of a length, for lifetimes, which have no use for a calendar."""
    return _length_seconds(text, LENGTH_ALLOWED)


def open_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name, or BadTimeZone.

    Lower case means what a machine keeps beside them: `localtime`, or `right/` with leap seconds.
    """
    refusal = BadTimeZone("must be an IANA time zone such as UTC or Europe/Berlin")
    if not isinstance(name, str) or not name[:1].isupper():
        raise refusal
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refusal from None


def midnight(day: date, time_zone: str) -> datetime:
    """The instant at which that day begins in the zone."""
    wall = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - shown by a local clock
    return _instants(wall, open_zone(time_zone))[0]


def _length_seconds(text: str, allowed: str) -> int:
    found = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    seconds = int(found[1]) * UNIT_SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= LENGTH_SECONDS_MAX:
        raise BadDuration(f"must be {allowed}")
    return seconds


def _elapsed_span(origin: datetime, length: timedelta, now: datetime) -> Span:
    starts_at = origin + (now - origin) // length * length
    return Span(starts_at, starts_at + length)


def _span_around(now: datetime, boundaries: Iterator[datetime]) -> Span:
    """Of boundaries on both sides of `now`, the nearest two; equal ones make no empty window."""
    known = set(boundaries)
    starts_at = max(boundary for boundary in known if boundary <= now)
    return Span(starts_at, min(boundary for boundary in known if boundary > now))


def _hours_near(now: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Every instant near `now` at which the local clock shows :00, second showings included.

    A clock may be set by any number of minutes between two of them, so the hours are looked up
    under each offset in force nearby.
    """
    for hours in range(-2, 3):
        shown = _wall(now + hours * _HOUR, zone).replace(minute=0, second=0, microsecond=0)
        yield from _instants(shown, zone)
        yield from _instants(shown + _HOUR, zone)


def _boundaries_near(
    now: datetime, period: Period, base: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    """The boundaries around `now`.

    The clock may have been set back over one (00:01 to 23:01), or over a whole day.
    """
    index = _index(_wall(now, zone), period, base)
    for n in range(index - 2, index + 4):
        yield _instants(_boundary(n, period, base), zone)[0]


def _phase(start: datetime | None, period: Period, zone: ZoneInfo) -> datetime:
    """What the local clock shows at some boundary of the period.

    A start at the first instant of a day means midnight, even on the one day that has none.
    """
    if start is None:
        return _FIRST_MONDAY if period.unit == "week" else _FIRST_DAY
    shown = _wall(start, zone)
    day_start = shown.replace(hour=0, minute=0, second=0)
    return day_start if _instants(day_start, zone)[0] == start else shown


def _index(shown: datetime, period: Period, base: datetime) -> int:
    if period.unit == "month":
        months = (shown.year - base.year) * 12 + shown.month - base.month
        return months // period.count
    return (shown - base).days // (7 if period.unit == "week" else 1)


def _boundary(n: int, period: Period, base: datetime) -> datetime:
    """What the local clock shows at the nth boundary; a day that a month lacks is its last."""
    if period.unit != "month":
        return base + timedelta(days=n * (7 if period.unit == "week" else 1))
    year, month = divmod(base.year * 12 + base.month - 1 + n * period.count, 12)
    day = min(base.day, calendar.monthrange(year, month + 1)[1])
    return base.replace(year=year, month=month + 1, day=day)


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What the local clock shows."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _instants(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """When the local clock shows this: once, or twice; if never, the first instant after the gap.

    Source: PEP 495. Of a skipped time, fold 1 lies before the gap's end, and fold 0 not before it.
    """
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if _wall(first, zone) == wall:
        return [first, second] if first != second else [first]
    before, after = second, first
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // timedelta(seconds=2) * timedelta(seconds=1)
        before, after = (before, middle) if _wall(middle, zone) >= wall else (middle, after)
    return [after]
