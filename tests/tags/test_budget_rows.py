"""Budget rows: which budget of a tag is shown first, and whose calls a pot counts."""

from datetime import timedelta

import pytest

from proxy.models import KeyDraw
from spend.rollover import database_now
from spend.status import Status
from tags.budget_rows import first_shown, read_budget_rows, status_over
from tags.models import Tag
from tests.factories import dollars, make_key, make_pot, make_tag

pytestmark = pytest.mark.django_db


def rows(tag):
    return read_budget_rows(Tag.objects.with_budgets().get(pk=tag.pk), database_now())


def test_it_shows_the_highest_share_then_the_sooner_reset():
    pot = make_pot(public_id="eu", limit="10")
    daily = {"limit": "100", "duration": "1d"}
    tag = make_tag("search", limit="1000", duration="30d", further=[daily], pots=[pot])
    own, further, shared = rows(tag)

    assert first_shown([own, further, shared]) == further
    own.budget.windows.update(spent=dollars("800"))
    assert first_shown(rows(tag)).kind == "own"
    pot.windows.update(spent=dollars("9"))
    assert [row.percent for row in rows(tag)] == [80, 0, 90]
    assert first_shown(rows(tag)).kind == "pot"
    assert status_over(rows(tag), blocked=False) is Status.AT_RISK
    assert status_over(rows(tag), blocked=True) is Status.BLOCKED


def test_it_counts_everybody_who_draws_on_a_pot(django_assert_num_queries):
    pot = make_pot(public_id="eu", limit="10", duration="quarterly")
    make_tag("prod", pots=[pot])
    tag = Tag.objects.with_budgets().get(pk=make_tag("search", pots=[pot]).pk)
    key = make_key("ci")

    now = database_now()
    with django_assert_num_queries(3):
        (_, shared) = read_budget_rows(tag, now)
    assert shared.label == "pot eu (2 tags): quarterly"

    KeyDraw.objects.create(key=key, budget=pot)
    (_, shared) = rows(tag)
    assert shared.payers.tags == ("prod", "search")
    assert shared.payers.key_ids == (key.pk,)
    assert shared.label == "pot eu (3 drawers): quarterly"


def test_it_shows_its_own_where_nothing_is_limited_and_one_of_nothing_first():
    free = make_tag("free", further=[{"duration": "1d"}])
    shut = make_tag("shut", limit="5", further=[{"limit": "0", "duration": "1d"}])

    assert first_shown(rows(free)).kind == "own"
    assert first_shown(rows(shut)).kind == "further"
    assert rows(shut)[0].standing.resets_at is None
    assert rows(shut)[1].standing.resets_at - database_now() < timedelta(days=1)
