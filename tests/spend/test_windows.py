"""Windows: the table of the wire contract, then properties over all zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from spend.windows import (
    LENGTH_SECONDS_MAX,
    PERIODS,
    BadDuration,
    BadStart,
    BadTimeZone,
    Length,
    Period,
    Schedule,
    Span,
    length_seconds,
    midnight,
    next_spans,
    open_zone,
    parse_duration,
    window_at,
)

# duration, zone, anchor (lengths) or start (periods), now, window's start, budget_reset_at
TABLE = """
 1  30d     UTC              2025-10-11T00:00 2025-10-20T08:00 2025-10-11T00:00 2025-11-10T00:00
 2  30d     UTC              2025-10-11T00:00 2026-01-20T00:00 2026-01-09T00:00 2026-02-08T00:00
 3  1d      America/New_York 2026-03-01T14:30 2026-03-08T15:00 2026-03-08T14:30 2026-03-09T14:30
 4  daily   America/New_York -                2026-03-08T15:00 2026-03-08T05:00 2026-03-09T04:00
 5  daily   America/New_York -                2026-11-01T15:00 2026-11-01T04:00 2026-11-02T05:00
 6  daily   Africa/Cairo     -                2026-04-24T09:00 2026-04-23T22:00 2026-04-24T21:00
 7  hourly  Europe/Berlin    -                2026-10-25T01:20 2026-10-25T01:00 2026-10-25T02:00
 8  weekly  UTC              -                2026-11-22T12:00 2026-11-16T00:00 2026-11-23T00:00
 9  weekly  UTC              2026-11-01       2026-11-24T12:00 2026-11-22T00:00 2026-11-29T00:00
 10 monthly Europe/Berlin    -                2026-03-15T12:00 2026-02-28T23:00 2026-03-31T22:00
 11 1mo     UTC              2026-01-31       2026-02-10T00:00 2026-01-31T00:00 2026-02-28T00:00
 11 1mo     UTC              2026-01-31       2026-03-10T00:00 2026-02-28T00:00 2026-03-31T00:00
 12 yearly  UTC              2024-02-29       2027-06-01T00:00 2027-02-28T00:00 2028-02-29T00:00
"""
FURTHER = """
 quarter      quarterly UTC - 2026-11-22T00:00 2026-10-01T00:00 2027-01-01T00:00
 same-as      3mo       UTC - 2026-11-22T00:00 2026-10-01T00:00 2027-01-01T00:00
 from-january 4mo       UTC - 2026-11-22T00:00 2026-09-01T00:00 2027-01-01T00:00
 year         12mo      UTC - 2026-11-22T00:00 2026-01-01T00:00 2027-01-01T00:00
 future       monthly   UTC 2027-03-15T09:30 2026-11-22T00:00 2026-11-15T09:30 2026-12-15T09:30
 past         6mo       UTC 2020-08-31 2026-11-22T00:00 2026-08-31T00:00 2027-02-28T00:00
 clock-time daily Europe/Berlin 2026-01-05T08:00 2026-07-01T06:59 2026-06-30T07:00 2026-07-01T07:00
 whole-day    daily     Pacific/Apia - 2011-12-30T11:00 2011-12-30T10:00 2011-12-31T10:00
 half-hour    hourly    Australia/Lord_Howe - 2026-10-03T15:40 2026-10-03T15:30 2026-10-03T16:00
 ninety       hourly    Australia/Lord_Howe - 2026-04-04T15:10 2026-04-04T14:00 2026-04-04T15:30
 twice        daily     America/Havana - 2026-11-01T04:30 2026-11-01T04:00 2026-11-02T05:00
 again        daily America/St_Johns - 2010-11-07T03:00 2010-11-07T02:30 2010-11-08T03:30
 nepal        hourly    Asia/Kathmandu - 2026-11-22T12:00 2026-11-22T11:15 2026-11-22T12:15
"""

TICK, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("microseconds", "minutes", "hours", "days")
)
SEED = datetime(2025, 10, 11, tzinfo=UTC)
ZONES = sorted(name for name in available_timezones() if name[0].isupper())
START_OF_1973 = datetime(1973, 1, 1, tzinfo=UTC)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(at, zone):
    return at.astimezone(zone).replace(tzinfo=None)


def rows(table):
    return [pytest.param(*row.split()[1:], id=row.split()[0]) for row in table.strip().splitlines()]


@pytest.mark.parametrize(
    ("duration", "zone", "origin", "now", "starts_at", "ends_at"), rows(TABLE) + rows(FURTHER)
)
def test_it_keeps_the_table(duration, zone, origin, now, starts_at, ends_at):
    is_length = isinstance(parse_duration(duration), Length)
    start = None if is_length or origin == "-" else utc(origin)
    schedule = Schedule(duration, utc(origin) if is_length else SEED, zone, start)

    assert window_at(schedule, utc(now)) == Span(utc(starts_at), utc(ends_at))


def test_it_counts_a_length_from_its_start_rather_than_its_anchor():
    schedule = Schedule("7d", SEED, "UTC", utc("2026-01-01T06:00"))

    assert window_at(schedule, SEED) == Span(utc("2025-10-09T06:00"), utc("2025-10-16T06:00"))


def test_it_has_one_window_without_a_duration():
    schedule = Schedule(None, SEED, "Europe/Berlin")

    assert window_at(schedule, SEED + 999 * DAY) == Span(SEED, None)
    assert window_at(Schedule(None, SEED, "UTC", SEED + DAY), SEED) == Span(SEED + DAY, None)
    assert next_spans(schedule, SEED, 3) == []


def test_it_counts_whole_seconds():
    schedule = Schedule("1s", SEED + timedelta(microseconds=999_999))

    assert window_at(schedule, SEED + 5 * TICK) == Span(SEED, SEED + timedelta(seconds=1))


def test_it_tells_the_windows_to_come():
    spans = next_spans(Schedule("monthly", SEED, "Europe/Berlin"), utc("2026-02-03"), 2)

    assert spans == [
        Span(utc("2026-02-28T23:00"), utc("2026-03-31T22:00")),
        Span(utc("2026-03-31T22:00"), utc("2026-04-30T22:00")),
    ]


def test_it_takes_the_start_of_a_day_without_midnight_as_midnight():
    first_day = midnight(date(2026, 4, 24), "Africa/Cairo")
    schedule = Schedule("daily", SEED, "Africa/Cairo", first_day)

    assert first_day == utc("2026-04-23T22:00")
    assert window_at(schedule, utc("2026-04-26")).starts_at == midnight(
        date(2026, 4, 26), "Africa/Cairo"
    )


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("1s", Length(1)),
        ("1m", Length(60)),
        ("1h", Length(3_600)),
        ("1d", Length(86_400)),
        ("7d", Length(604_800)),
        ("2w", Length(1_209_600)),
        ("3660d", Length(LENGTH_SECONDS_MAX)),
        ("316224000s", Length(LENGTH_SECONDS_MAX)),
        ("hourly", Period("hour", 1)),
        ("1mo", PERIODS["monthly"]),
        ("3mo", PERIODS["quarterly"]),
        ("12mo", PERIODS["yearly"]),
        ("2mo", Period("month", 2)),
    ],
)
def test_it_reads_durations(text, parsed):
    assert parse_duration(text) == parsed


BAD_DURATIONS = [
    "0d",
    "-1d",
    "1.5h",
    "2 d",
    "10days",
    "1hr",
    "5mo",
    "1y",
    "",
    "01d",
    "Daily",
    "30D",
]
BAD_DURATIONS += ["d", "30", "1d\n", " 1d", "+1d", "3661d", "316224001s", "9" * 5000 + "s", "1mon"]
BAD_DURATIONS += ["\u0661d", "1d1h", "month", None, 30, True, ["1d"]]


@pytest.mark.parametrize("text", BAD_DURATIONS, ids=lambda text: repr(text)[:12])
def test_it_refuses_other_durations_and_says_what_is_allowed(text):
    with pytest.raises(BadDuration, match=r"^must be a whole number with s, m, h, d or w.*12mo$"):
        parse_duration(text)


def test_it_reads_lifetimes_which_are_lengths():
    assert length_seconds("30d") == 2_592_000
    with pytest.raises(BadDuration, match=r"2w\)$"):
        length_seconds("monthly")


BAD_ZONES = ["", "Mars/Phobos", "America", "../etc/passwd", "/etc/passwd", "U\0TC", "X" * 5000]
BAD_ZONES += ["right/UTC", "posix/UTC", "localtime", "posixrules", "utc", "+01:00", "\ud800"]
BAD_ZONES += [None, 1]


@pytest.mark.parametrize("name", BAD_ZONES, ids=lambda name: ascii(name)[:12])
def test_it_refuses_what_is_no_zone(name):
    with pytest.raises(BadTimeZone):
        Schedule("daily", SEED, name)


@pytest.mark.parametrize(
    ("duration", "start", "error"),
    [
        ("hourly", SEED, BadStart),
        ("daily", datetime(1, 1, 1, tzinfo=UTC), BadStart),
        ("30d", datetime(9999, 12, 31, tzinfo=UTC), BadStart),
        (None, datetime(2200, 1, 1, tzinfo=UTC), BadStart),
        ("daily", SEED.replace(tzinfo=None), ValueError),
        ("dayly", None, BadDuration),
    ],
)
def test_it_refuses_a_schedule_that_cannot_be(duration, start, error):
    with pytest.raises(error):
        Schedule(duration, SEED, "UTC", start)


# Properties. Most days are dull, so half of the moments lie beside a change of some zone's clock.

seconds_of_a_century = st.integers(0, 100 * 365 * 86_400)
moments = seconds_of_a_century.map(lambda s: START_OF_1973 + timedelta(seconds=s))


def change_near(at, zone):
    """The first change of the zone's clock in the year after `at`, to the second, if any."""
    for days in range(366):
        before, after = at + days * DAY, at + (days + 1) * DAY
        if after.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            continue
        while after - before > timedelta(seconds=1):
            middle = (before + (after - before) / 2).replace(microsecond=0)
            same = middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset()
            before, after = (middle, after) if same else (before, middle)
        return after
    return None


@st.composite
def zones_and_moments(draw):
    name, now = draw(st.sampled_from(ZONES)), draw(moments)
    if draw(st.booleans()):
        now = change_near(now, ZoneInfo(name)) or now
        now += timedelta(seconds=draw(st.integers(-90_000, 90_000)))
    return name, now + timedelta(microseconds=draw(st.integers(0, 999_999)))


lengths = st.integers(1, 400).map(lambda n: f"{n}d") | st.integers(1, 9999).map(lambda n: f"{n}s")


@st.composite
def schedules(draw, zone):
    duration = draw(st.sampled_from([*PERIODS, "1d", "1h", "2w"]) | lengths)
    start = None if duration == "hourly" else draw(st.none() | moments)
    return Schedule(duration, draw(moments), zone, start)


@given(st.data(), zones_and_moments())
@settings(max_examples=400)
def test_it_tiles_time(data, zone_and_now):
    name, now = zone_and_now
    schedule = data.draw(schedules(name))

    here = window_at(schedule, now)
    inside = (
        here.starts_at + data.draw(st.integers(0, 10**6)) * (here.ends_at - here.starts_at) / 10**6
    )

    assert here.starts_at <= now < here.ends_at
    assert here.starts_at.microsecond == here.ends_at.microsecond == 0
    assert window_at(schedule, here.starts_at) == here
    assert window_at(schedule, here.ends_at - TICK) == here
    assert window_at(schedule, min(inside, here.ends_at - TICK)) == here
    assert window_at(schedule, here.starts_at - TICK).ends_at == here.starts_at
    assert next_spans(schedule, now, 1)[0].starts_at == here.ends_at


def first_shown(wall, zone, near):
    """The plain way: step through the minutes until the clock shows that much."""
    at = near - 50 * HOUR
    while shown(at, zone) < wall:
        at += MINUTE
    return at


@given(zones_and_moments())
@settings(max_examples=60)
@example(("Pacific/Apia", utc("2011-12-30T11:00")))
@example(("America/Havana", utc("2026-11-01T05:30")))
@example(("America/Sao_Paulo", utc("2018-11-04T03:30")))
@example(("Pacific/Kwajalein", utc("1993-08-21T13:00")))
@example(("America/St_Johns", utc("2010-11-07T03:00")))  # midnight again, after 00:01
def test_it_starts_a_day_when_the_clock_first_shows_it(zone_and_now):
    name, now = zone_and_now
    zone = ZoneInfo(name)

    here = window_at(Schedule("daily", SEED, name), now)

    day = shown(here.starts_at, zone).replace(hour=0, minute=0)
    assert here.starts_at == first_shown(day, zone, here.starts_at)
    assert here.ends_at == first_shown(day + DAY, zone, here.ends_at)


def is_hour_start(at, zone):
    """Whether the clock shows :00 now, or has just skipped over it."""
    before, after = shown(at - MINUTE, zone), shown(at, zone)
    return after.minute == 0 or before < after.replace(minute=0) < after


@given(zones_and_moments())
@settings(max_examples=150)
@example(("Australia/Lord_Howe", utc("2026-10-03T15:40")))
@example(("Australia/Lord_Howe", utc("2026-04-04T15:10")))
@example(("Asia/Kathmandu", utc("1985-12-31T18:29")))
@example(("Pacific/Apia", utc("2011-12-30T09:59")))
@example(("Asia/Pyongyang", utc("2015-08-14T15:05")))
def test_it_starts_an_hour_whenever_the_clock_shows_it(zone_and_now):
    name, now = zone_and_now
    zone, minute = ZoneInfo(name), now.replace(second=0, microsecond=0)
    steps = [minute + n * MINUTE for n in range(-180, 181)]

    here = window_at(Schedule("hourly", SEED, name), now)

    starts = [at for at in steps if is_hour_start(at, zone)]
    assert here.starts_at == max(at for at in starts if at <= now)
    assert here.ends_at == min(at for at in starts if at > now)


@given(st.sampled_from(["weekly", "1mo", "2mo", "3mo", "4mo", "6mo", "yearly"]), moments, moments)
def test_it_keeps_the_phase_of_its_start_in_both_directions(duration, start, now):
    here = window_at(Schedule(duration, SEED, "UTC", start), now)

    months = (here.starts_at.year - start.year) * 12 + here.starts_at.month - start.month
    assert here.starts_at.time() == start.time()
    if duration == "weekly":
        assert here.starts_at.weekday() == start.weekday()
    else:
        assert months % PERIODS[duration].count == 0
        is_last = (here.starts_at + DAY).day == 1
        assert here.starts_at.day == start.day or (is_last and here.starts_at.day < start.day)


@given(moments, st.integers(1, LENGTH_SECONDS_MAX), moments)
def test_it_ignores_the_calendar_in_a_length(anchor, seconds, now):
    here = window_at(Schedule(f"{seconds}s", anchor, "America/New_York"), now)

    assert here.ends_at - here.starts_at == timedelta(seconds=seconds)
    assert (here.starts_at - anchor) % timedelta(seconds=seconds) == timedelta(0)


@given(st.sampled_from(ZONES), moments)
def test_it_answers_alike_in_any_zone_of_its_arguments(name, now):
    schedule = Schedule("monthly", SEED, name, now - 40 * DAY)
    elsewhere = Schedule("monthly", SEED, name, (now - 40 * DAY).astimezone(open_zone(name)))

    here = window_at(schedule, now)

    assert here == window_at(elsewhere, now.astimezone(ZoneInfo("Asia/Tokyo")))
    assert here.starts_at.tzinfo is here.ends_at.tzinfo is UTC


@given(st.text(max_size=6))
def test_it_reads_nothing_but_the_grammar(text):
    assume(text not in PERIODS)
    try:
        parsed = parse_duration(text)
    except BadDuration:
        return

    assert text.isascii()
    assert (
        parsed.seconds
        == int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[text[-1]]
    )
