"""Charts: from numbers to coordinates in a box of 100 by 100, whose top is 0."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tags.charts.bars import bar_list, budget_bar, sparkline
from tags.charts.burn import Heading, draw_burn_up
from tags.charts.days import stack_days
from tags.charts.scale import axis_end, height_of, share

DOLLAR = 10**9
START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = date(2026, 11, 1)


@pytest.mark.parametrize(
    ("most", "end"),
    [(0, DOLLAR // 100), (1, 1), (3, 5), (11, 20), (21, 25), (2_500, 2_500), (2_501, 5_000),
     (6_200 * DOLLAR, 10_000 * DOLLAR), (-5, DOLLAR // 100)],
)  # fmt: skip
def test_it_ends_an_axis_at_a_round_number(most, end):
    assert axis_end(most) == end


def test_it_stays_within_its_box():
    assert [share(n, 4) for n in (-1, 0, 1, 4, 9)] == [0, 0, 25, 100, 100]
    assert share(1, 0) == 100
    assert [height_of(n, 4) for n in (0, 1, 9)] == [100, 75, 0]


def test_it_fills_a_budget_and_hatches_what_is_held():
    bar = budget_bar(50, 20, 100, 80, tone="warn")
    full = budget_bar(120, 20, 100)

    assert (bar.spent, bar.held, bar.soft, bar.tone) == (50, 20, 80, "warn")
    assert (full.spent, full.held, full.soft) == (100, 0, None)
    assert budget_bar(5, 0, 0).spent == 100
    assert budget_bar(5, 0, None) is None
    assert budget_bar(5, 0, 100, 100).soft is None


def test_it_draws_a_bar_for_each_day_with_spend():
    assert sparkline([10, 0, 5, -1]) == "M2.5,100V0h20V100zM52.5,100V50h20V100z"
    assert sparkline([1, 1_000]).startswith("M5,100V96h")  # little is seen
    assert sparkline([]) == sparkline([0]) == ""


def test_it_scales_a_list_to_its_largest():
    lines = bar_list([("a", 4, "/a", ""), ("b", 1, "", "note")])

    assert [(line.name, line.bar.spent, line.note) for line in lines] == [
        ("a", 100, ""),
        ("b", 25, "note"),
    ]
    assert bar_list([]) == []


def test_it_stacks_the_five_largest_and_the_rest():
    names = {name: 10 - n for n, name in enumerate("abcdefg")}
    chart = stack_days(
        {FIRST: names, FIRST + 2 * DAY: {"a": 1}},
        FIRST,
        FIRST + 2 * DAY,
        link=lambda day, _: str(day),
    )

    assert [(series.name, series.css, series.total) for series in chart.series] == [
        ("a", "s1", 11), ("b", "s2", 9), ("c", "s3", 8), ("d", "s4", 7), ("e", "s5", 6),
        ("Other", "s0", 9),
    ]  # fmt: skip
    assert [(column.total, len(column.segments)) for column in chart.columns] == [
        (49, 6), (0, 0), (1, 1),
    ]  # fmt: skip
    first = chart.columns[0]
    assert first.amounts == (10, 9, 8, 7, 6, 9)
    assert (first.segments[0].y, first.segments[0].height) == (80, 20)  # the axis ends at 50
    assert first.segments[-1].y == 2
    assert chart.highest is first
    assert (chart.ticks, first.address) == ((50, 25, 0), "2026-11-01")


def test_it_draws_no_correction_below_nothing():
    chart = stack_days({FIRST: {"a": 4, "b": -3}}, FIRST, FIRST)

    assert [segment.css for segment in chart.columns[0].segments] == ["s1"]
    assert chart.columns[0].total == 1


def test_it_burns_up_to_a_forecast_with_its_band():
    """The worked example: 4,000 of 5,000 at the end of the 20th day, 6,200 ahead."""
    chart = draw_burn_up(
        [(START + 10 * DAY, 2_500 * DOLLAR), (START + 20 * DAY, 4_000 * DOLLAR)],
        starts_at=START,
        ends_at=START + 30 * DAY,
        now=START + 20 * DAY,
        limit=5_000 * DOLLAR,
        soft_limit=4_000 * DOLLAR,
        heading=Heading(5_000 * DOLLAR, 6_200 * DOLLAR, 6_500 * DOLLAR),
    )

    assert chart.ticks[0] == 10_000 * DOLLAR
    assert chart.spent == "M0,100L33.33,75L66.67,60"
    assert chart.forecast == "M66.67,60L100,38"
    assert chart.band == "M66.67,60L100,35L100,50Z"
    assert (chart.limit, chart.soft, chart.out, chart.now) == (50, 60, None, 66.67)


def test_it_marks_where_it_ran_out_and_needs_no_points():
    end = START + 10 * DAY
    chart = draw_burn_up(
        [], starts_at=START, ends_at=end, now=START + DAY, limit=None, ran_out_at=START + 5 * DAY
    )

    assert (chart.spent, chart.forecast, chart.band) == ("M0,100L10,100", "", "")
    assert (chart.limit, chart.soft, chart.out) == (None, None, 50)


def test_many_days_are_drawn_as_months_that_add_up():
    costs = {FIRST + n * DAY: {"a": 1, "b": n} for n in range(200)}

    chart = stack_days(costs, FIRST, FIRST + 199 * DAY, link=lambda day, until: f"{day} {until}")

    assert (chart.step, chart.heading) == ("month", "Monthly cost")
    assert sum(column.total for column in chart.columns) == 200 + sum(range(200))
    assert chart.columns[0].day == FIRST
    assert chart.columns[-1].until == FIRST + 199 * DAY
    assert all(column.day.day == 1 for column in chart.columns[1:])
    assert all((column.until + DAY).day == 1 for column in chart.columns[:-1])
    assert chart.columns[1].address == f"{chart.columns[1].day} {chart.columns[1].until}"
