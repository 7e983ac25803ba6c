"""At the same time: two make one tag, a pot is deleted while a tag joins it, calls hold windows."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

from django.conf import settings
from django.db import connection, transaction

from spend.models import Budget, BudgetWindow
from tags.actions import change_tag
from tags.changes import Changes
from tags.models import Tag, TagDraw
from tests.conftest import client_of
from tests.factories import make_pot, make_tag, unique

ROUNDS = 10


def together(*calls):
    """Each in a thread of its own, begun at one moment; their results in order."""
    barrier = Barrier(len(calls))

    def run(call):
        try:
            barrier.wait(5)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [waiting.result(15) for waiting in [threads.submit(run, call) for call in calls]]


def post(path, body):
    return client_of(settings.MASTER_KEY).post(path, body).status_code


def test_it_makes_a_tag_once(books):
    for _ in range(ROUNDS):
        name = unique("raced")
        before = Budget.objects.count()

        codes = together(*[lambda: post("/tag/new", {"name": name})] * 3)  # noqa: B023

        assert sorted(codes) == [200, 409, 409]
        assert Tag.objects.filter(name=name).count() == 1
        assert Budget.objects.count() == before + 1  # the losers' are gone with them


def test_it_lets_nobody_join_a_pot_that_goes(books):
    for _ in range(ROUNDS):
        pot, tag = make_pot(), make_tag()
        join = {"name": tag.name, "shared_budget_ids": [pot.public_id]}

        codes = together(
            lambda: post("/budget/delete", {"id": pot.public_id}),  # noqa: B023
            lambda: post("/tag/update", join),  # noqa: B023
        )

        assert codes in ([200, 400], [409, 200])
        assert TagDraw.objects.filter(tag=tag).exists() == (codes == [409, 200])


def test_it_takes_windows_in_the_order_of_the_ledger(books):
    """A call holds the lower window and waits for the higher; so must a change, or both stop."""
    tag = make_tag(limit="5", further=[{"limit": "1", "duration": "daily"}])
    change_tag(tag.name, Changes(budget={"duration": "30d"}), actor="test")
    own = BudgetWindow.objects.open().get(budget=tag.budget).pk
    lower = BudgetWindow.objects.open().get(budget=tag.draws.get().budget).pk
    assert lower < own
    has_lower = Event()

    def call():
        with transaction.atomic():
            BudgetWindow.objects.select_for_update().get(pk=lower)
            has_lower.set()
            connection.cursor().execute("select pg_sleep(0.3)")
            BudgetWindow.objects.select_for_update().get(pk=own)
        return "called"

    def change():
        has_lower.wait(5)
        wanted = {"limit": 2, "duration": "daily", "mode": "standard"}
        changes = Changes(budget={"limit": 6}, further=[wanted])
        return change_tag(tag.name, changes, actor="test").budget.limit

    assert together(call, change) == ["called", 6]
