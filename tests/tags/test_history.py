"""History: what was changed, in words, and the windows that have closed."""

from datetime import UTC, datetime

import pytest

from spend.budgets import reset_budget
from tags.actions import change_tag, delete_tag, raise_tag_window, reset_tag_spend
from tags.changes import Changes
from tags.history import Difference, read_closed_windows, read_entries
from tests.factories import budget_terms, dollars, make_pot, make_tag

pytestmark = pytest.mark.django_db


def test_it_works():
    make_tag("search", limit="5000", duration="monthly")
    change_tag("search", Changes({"blocked": True}, {"limit": dollars("6000.5")}), actor="ana")
    raise_tag_window("search", dollars("7000"), actor="ben")
    reset_tag_spend("search", reason="billing error", actor="ben")
    delete_tag("search", actor="ana")

    entries, following = read_entries("search")

    assert following is None
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("ana", "deleted it"),
        ("ben", "reset its spend"),
        ("ben", "raised this window"),
        ("ana", "changed it"),
        ("test", "created it"),
    ]
    assert entries[3].differences == (
        Difference("Blocked", "no", "yes"),
        Difference("Budget: limit", "$5,000.00", "$6,000.50"),
    )
    assert entries[2].differences == (Difference("Limit of this window", "$6,000.50", "$7,000.00"),)
    assert entries[1].reason == "billing error"


def test_it_names_further_budgets_by_their_period():
    make_tag("search", further=[{"limit": "5", "duration": "daily", "alert_thresholds": [80]}])
    pot = make_pot(public_id="eu")
    wanted = budget_terms(limit="6", duration="daily", alert_thresholds=[80, 100])
    change_tag("search", Changes(further=[wanted], pots=[pot.public_id]), actor="ana")

    (newest, _), _ = read_entries("search")

    assert newest.differences == (
        Difference("Budget daily: limit", "$5.00", "$6.00"),
        Difference("Budget daily: alerts at", "80%", "80%, 100%"),
        Difference("Pots", "", "eu"),
    )


def test_it_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr("tags.history.ENTRIES_MAX", 2)
    tag = make_tag("search", limit="1")
    for limit in ("2", "3"):
        change_tag("search", Changes(budget={"limit": dollars(limit)}), actor="ana")
        reset_budget(tag.budget)
    reset_budget(tag.budget)

    first, following = read_entries("search")
    rest, end = read_entries("search", before_id=following)
    windows, following = read_closed_windows([tag.budget.pk])
    older, _ = read_closed_windows([tag.budget.pk], before_id=following)

    assert [entry.action for entry in (*first, *rest)] == ["changed it"] * 2 + ["created it"]
    assert end is None
    assert [window.limit for window in (*windows, *older)] == [
        dollars(limit) for limit in ("3", "3", "2")
    ]


def test_it_lists_windows_by_when_they_began_whatever_was_written_first(monkeypatch):
    monkeypatch.setattr("tags.history.ENTRIES_MAX", 2)
    budget = make_tag("search", limit="1").budget
    ids = []
    for _ in range(3):
        ids.append(budget.windows.get(is_open=True).pk)
        reset_budget(budget)
    for pk, day in zip(ids, (2, 1, 3), strict=True):
        budget.windows.filter(pk=pk).update(starts_at=datetime(2020, 1, day, tzinfo=UTC))

    windows, following = read_closed_windows([budget.pk])
    older, end = read_closed_windows([budget.pk], before_id=following)

    assert [window.pk for window in (*windows, *older)] == [ids[2], ids[0], ids[1]]
    assert end is None
    assert read_closed_windows([budget.pk], before_id=0) == ([], None)
