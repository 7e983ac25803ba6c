"""The roster: every tag with how it stands, in one statement."""

from datetime import timedelta
from decimal import Decimal

import pytest

from spend.buckets import Payers
from spend.outlooks import course_of, read_first_calls, read_outlooks
from spend.range_choices import choose_range
from spend.rollover import database_now
from spend.standings import read_standing
from spend.status import Status
from tags.roster import BadPlace, Place, Question, complete, read_roster
from tests.factories import make_pot, make_tag
from tests.past import make_past_call

pytestmark = pytest.mark.django_db
DOLLAR = 10**9


def window_of(tag):
    return tag.budget.windows.get(is_open=True)


def spend(tag, cost, **named):
    """Calls in the log, and in the tag's open window."""
    make_past_call(tags=(tag.name,), cost=cost, windows=(window_of(tag).pk,), **named)


def ask(**asked):
    now = database_now()
    covered = choose_range("30d", now, time_zone="UTC").covered
    roster = read_roster(Question(covered=covered, now=now, **asked))
    complete(roster.rows, now)
    return roster


def names(roster):
    return [row.name for row in roster.rows]


def test_it_gives_each_tag_one_status():
    make_tag("blocked", columns={"blocked": True}, limit="1")
    spend(make_tag("over", limit="1"), DOLLAR)
    spend(make_tag("risk", limit="10"), 8 * DOLLAR)
    spend(make_tag("soft", soft_limit="1"), DOLLAR)
    make_tag("fine", limit="1")
    make_tag("free")
    make_past_call(tags=("wild",), cost=5)

    roster = ask()

    assert roster.counts == {
        Status.BLOCKED: 1, Status.OVER_BUDGET: 1, Status.AT_RISK: 2, Status.ON_TRACK: 1,
        Status.TRACKED: 1, Status.SEEN: 1,
    }  # fmt: skip
    assert names(roster) == ["over", "risk", "blocked", "fine", "free", "soft", "wild"]
    assert names(ask(status=Status.AT_RISK)) == ["risk", "soft"]
    assert ask(status=Status.AT_RISK).counts == roster.counts


def test_it_shows_the_budget_with_the_highest_share():
    pot = make_pot(public_id="eu", limit="100")
    tag = make_tag("t", limit="10", further=[{"limit": "1", "duration": "daily"}], pots=[pot])
    daily = tag.draws.get(position=0).budget
    own, day = window_of(tag), daily.windows.get(is_open=True)
    make_past_call(tags=("t",), cost=DOLLAR // 2, windows=(own.pk, day.pk))

    (row,) = ask().rows

    assert (row.budget, row.limit, row.spent, row.used) == (daily, DOLLAR, DOLLAR // 2, "50%")
    assert (row.more, row.is_pot) == (2, False)
    assert row.resets_at == day.ends_at


def test_it_pages_forth_and_back():
    for n in range(5):
        spend(make_tag(f"t{n}", limit="10"), (n + 1) * DOLLAR)

    first = ask(rows=2)
    second = ask(rows=2, after=first.older)
    last = ask(rows=2, after=second.older)
    back = ask(rows=2, before=second.newer)

    assert [names(page) for page in (first, second, last)] == [["t4", "t3"], ["t2", "t1"], ["t0"]]
    assert (first.newer, last.older) == (None, None)
    assert names(back) == names(first)
    assert back.newer is None
    assert back.older == first.older


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["a", "b", "c"]),
        ("spend", ["c", "a", "b"]),
        ("calls", ["b", "a", "c"]),
        ("reset", ["b", "a", "c"]),
        ("used", ["a", "b", "c"]),
        ("forecast", ["a", "b", "c"]),
    ],
)
def test_it_sorts(sort, order):
    spend(make_tag("a", limit="3", duration="30d"), 2 * DOLLAR)
    b = make_tag("b", limit="100", duration="7d")
    spend(b, DOLLAR // 2)
    spend(b, DOLLAR // 2)
    spend(make_tag("c"), 3 * DOLLAR)

    assert names(ask(sort=sort)) == order


def test_it_searches_names_descriptions_and_owners(django_user_model):
    ana = django_user_model.objects.create(username="Ana")
    owned = make_tag("team:search", columns={"description": "The Search team"})
    owned.owners.add(ana)
    make_tag("env:prod")

    assert names(ask(text="SEARCH")) == ["team:search"]
    assert names(ask(text="ana")) == ["team:search"]
    assert names(ask(owner="Ana")) == ["team:search"]
    assert names(ask(prefix="env:")) == ["env:prod"]
    assert names(ask(text="nothing")) == []
    assert ask().prefixes == ["env:", "team:"]
    assert (ask().owners, ask(text="ana").rows[0].owners) == (["Ana"], ["Ana"])


def test_it_shows_an_owner_his_own_tags_alone(django_user_model):
    ana = django_user_model.objects.create(username="ana")
    make_tag("hers").owners.add(ana)
    make_tag("other")
    make_past_call(tags=("wild",), cost=5)

    roster = ask(owner_id=ana.pk)

    assert names(roster) == ["hers"]
    assert roster.counts == {Status.TRACKED: 1}


def test_its_sums_tell_what_was_counted_more_than_once():
    spend(make_tag("a"), 3)
    make_past_call(tags=("a", "b"), cost=5)
    make_past_call(cost=7)

    roster = ask()
    bill = roster.bill

    assert roster.cost == 3 + 5 + 5
    assert (bill.cost, bill.requests, bill.untagged) == (15, 3, 7)
    assert bill.untagged_share == "46.6%"
    assert roster.cost + bill.untagged - bill.cost == 5


def test_it_draws_the_last_days():
    make_past_call(tags=("a",), cost=5, ago=timedelta(days=2))
    make_past_call(tags=("a",), cost=7, ago=timedelta(days=40))

    (row,) = ask().rows

    assert len(row.days) == 30
    assert sum(row.days) == 5
    assert row.days[27] == 5


def test_a_window_that_is_over_holds_nothing():
    tag = make_tag("a", limit="1", duration="1d")
    spend(tag, DOLLAR)
    tag.budget.windows.update(starts_at="2026-01-01T00:00Z", ends_at="2026-01-02T00:00Z")

    (row,) = ask().rows

    assert (row.spent, row.limit, row.status) == (0, DOLLAR, Status.ON_TRACK)
    assert row.resets_at > database_now()


def test_a_cursor_is_one_of_ours():
    place = Place(Decimal("-0.5"), "ä")

    assert Place.of_cursor(place.cursor) == place
    for text in ("", "abc", "WzEsMl0=", place.cursor[:-4]):
        with pytest.raises(BadPlace):
            Place.of_cursor(text)


@pytest.mark.parametrize("days", [0, 2, 5, 12])
@pytest.mark.parametrize(("duration", "past"), [("30d", 14), ("7d", 3), ("1d", 0.6), ("6h", 0.2)])
def test_its_forecast_is_the_forecast(days, duration, past):
    """For young tags, and for windows of every kind of pace."""
    tag = make_tag("a", limit="1", duration=duration)
    window = window_of(tag)
    start = database_now() - timedelta(days=past)
    tag.budget.windows.update(starts_at=start, ends_at=start + (window.ends_at - window.starts_at))
    for n in range(1, 40):
        ago = timedelta(hours=days * 24 * n / 40 + n / 10)
        make_past_call(tags=("a", "b"), cost=n * 1_000_003, ago=ago, windows=(window.pk,))
    now = database_now()
    covered = choose_range("30d", now, time_zone="UTC").covered

    row = read_roster(Question(covered=covered, now=now, prefix="a")).rows[0]

    payers, standing = Payers(tags=("a",)), read_standing(tag.budget)
    (first_at,) = read_first_calls([payers])
    (outlook,) = read_outlooks([(payers, course_of(standing, first_at))], now)
    expected = outlook.forecast
    assert (row.forecast is None) == (expected is None)
    if expected is not None:
        assert abs(row.forecast.middle - expected.middle) <= 1
        assert (row.status is Status.FORECAST_OVER) == expected.exceeds(standing.limit)
