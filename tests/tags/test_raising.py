"""Raising a window for now, and changing what somebody else has changed meanwhile."""

import pytest

from spend.models import Audit
from spend.standings import read_standing
from tags.actions import change_tag, raise_tag_window, version_of
from tags.changes import Changes
from tags.errors import Invalid, NotThere, Stale
from tests.factories import dollars, make_pot, make_tag

pytestmark = pytest.mark.django_db


def test_it_works():
    tag = make_tag("search", limit="5000", duration="monthly")

    found = raise_tag_window("search", dollars("5500"), actor="ana")

    assert found == (dollars("5000"), dollars("5500"))
    assert read_standing(tag.budget).limit == dollars("5500")
    entry = Audit.objects.first()
    assert (entry.actor, entry.action, entry.name) == ("ana", "raise_window", "search")
    assert (entry.before["window_limit"], entry.after["window_limit"]) == ("5000.0", "5500.0")


def test_it_raises_any_budget_that_the_tag_draws_on():
    pot = make_pot(limit="100")
    tag = make_tag("search", further=[{"limit": "10", "duration": "daily"}], pots=[pot])
    daily = tag.draws.first().budget

    raise_tag_window("search", dollars("12"), budget_id=daily.public_id, actor="ana")
    raise_tag_window("search", dollars("120"), budget_id=pot.public_id, actor="ana")

    assert read_standing(daily).limit == dollars("12")
    assert read_standing(pot).limit == dollars("120")


@pytest.mark.parametrize(
    ("limit", "budget_id", "refusal"),
    [("5", None, Invalid), ("4", None, Invalid), ("9", "elsewhere", NotThere)],
)
def test_it_refuses_what_raises_nothing(limit, budget_id, refusal):
    tag = make_tag("search", limit="5")

    with pytest.raises(refusal):
        raise_tag_window("search", dollars(limit), budget_id=budget_id, actor="ana")

    assert read_standing(tag.budget).limit == dollars("5")
    assert not Audit.objects.filter(action="raise_window").exists()


def test_it_refuses_without_a_limit():
    make_tag("search")

    with pytest.raises(Invalid):
        raise_tag_window("search", dollars("5"), actor="ana")


def test_it_changes_nothing_that_somebody_else_has_changed_since():
    read = version_of(make_tag("search", limit="5"))
    change_tag("search", Changes(budget={"limit": dollars("7")}), actor="ben", version=read)

    with pytest.raises(Stale):
        change_tag("search", Changes(budget={"limit": dollars("6")}), actor="ana", version=read)

    assert Audit.objects.first().actor == "ben"
