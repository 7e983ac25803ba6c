"""Preview: a budget that is being typed, against the past and the present; nothing is written."""

from datetime import timedelta

import pytest

from spend.buckets import Payers
from spend.models import Audit, Budget, BudgetWindow
from spend.past_calls import backdate_budget
from spend.rollover import database_now
from spend.standings import read_standing
from tags.preview import read_preview
from tests.factories import dollars, make_tag
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SEARCH = Payers(tags=("search",))


def terms(**changes):
    plain = {
        "limit": dollars("5"), "soft_limit": None, "duration": "monthly", "time_zone": "UTC",
        "start": None, "mode": "standard",
    }  # fmt: skip
    return plain | changes


@pytest.fixture
def calls():
    for day in range(20):
        make_past_call(tags=("search",), cost=dollars("1"), ago=day * DAY)


def test_it_tests_a_new_budget_and_starts_it_at_nothing(calls):
    now = database_now()

    found = read_preview(SEARCH, terms(duration="10d", limit=dollars("3.5")), now)

    assert sum(window.spent for window in found.tested.windows) == dollars("20")
    assert found.tested.refused_calls > 0
    assert (found.spent, found.closes) == (0, None)
    assert found.resets_at == now.replace(microsecond=0) + 10 * DAY
    assert abs(found.reached_at - (now + 3.5 * DAY)) < DAY
    assert Budget.objects.count() == BudgetWindow.objects.count() == Audit.objects.count() == 0


def test_it_goes_on_with_the_window_that_is_open(calls):
    tag = make_tag("search", limit="5", duration="30d")
    backdate_budget(tag.budget, database_now() - 15 * DAY)
    tag.budget.windows.update(spent=dollars("4"))
    standing = read_standing(tag.budget)
    now = database_now()

    same = read_preview(SEARCH, terms(duration="30d"), now, budget=tag.budget, standing=standing)
    lower = read_preview(
        SEARCH, terms(duration="30d", limit=dollars("4")), now,
        budget=tag.budget, standing=standing,
    )  # fmt: skip
    other = read_preview(SEARCH, terms(), now, budget=tag.budget, standing=standing)

    assert (same.spent, same.closes, same.refuses_all) == (dollars("4"), None, False)
    assert same.resets_at == standing.resets_at
    assert lower.refuses_all
    assert (other.spent, other.closes, other.refuses_all) == (0, standing, False)


def test_it_knows_warnings_and_no_budget():
    now = database_now()

    warns = read_preview(SEARCH, terms(limit=None, soft_limit=dollars("4")), now)
    free = read_preview(SEARCH, terms(limit=None), now)
    nameless = read_preview(Payers(), terms(), now)

    assert (warns.only_warns, warns.amount) == (True, dollars("4"))
    assert (free.only_warns, free.amount, free.tested) == (False, None, None)
    assert nameless.tested.windows == ()
    assert nameless.outlook.is_early
