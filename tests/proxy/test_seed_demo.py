"""The demo: something to look at, whose books balance to the nano-dollar."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from proxy.credentials import digest_of
from proxy.deployment_cards import load_catalogue
from proxy.models import APIKey, Deployment, Upstream
from spend.models import Budget, BudgetWindow, Price, Reservation, Rollup, SpendLog
from spend.past_calls import backdate_budget
from spend.rollover import database_now
from tags.models import Tag

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("seed")]

ADDRESS = "http://127.0.0.1:9999"

WINDOWS_NOT_AS_LOGGED = """
    select count(*) from spend_budgetwindow w
     where w.reserved <> 0 or w.spent <> coalesce(
           (select sum(cost) from spend_spendlog l where w.id = any(l.windows)), 0)
"""
CALLS_OUTSIDE_THEIR_WINDOW = """
    select count(*) from spend_spendlog l, unnest(l.windows) u join spend_budgetwindow w on w.id = u
     where l.at < w.starts_at or l.at >= w.ends_at
"""
ROLLUPS_NOT_AS_LOGGED = """
    select count(*) from (
      select tag_set_id, key_id, model, date_trunc('day', at, 'UTC') as starts_at,
             sum(cost) as cost,
             count(*) filter (where status <> 'refused') as requests,
             count(*) filter (where status = 'failure') as failed,
             count(*) filter (where status = 'refused') as refused,
             sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens
        from spend_spendlog group by 1, 2, 3, 4) l
      full join (select * from spend_rollup where span = 'day') r
     using (tag_set_id, key_id, model, starts_at, cost, requests, failed, refused, prompt_tokens,
            completion_tokens)
     where l.cost is null or r.cost is null
"""
CALLS_IN_THE_DEFAULT_PARTITION = "select count(*) from spend_spendlog_default"


def seed(upstream=ADDRESS):
    printed = StringIO()
    call_command("seed_demo", "--upstream", upstream, stdout=printed)
    return json.loads(printed.getvalue())


@pytest.fixture(scope="module")
def seeded(django_db_setup, django_db_blocker):
    """One demo for all tests that look at it, gone when they are done."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield seed()
        transaction.set_rollback(True)


def count(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def window_of(tag):
    return BudgetWindow.objects.get(budget__tag__name=tag, is_open=True)


def test_it_works(seeded):
    assert APIKey.objects.get(digest=digest_of(seeded["api_key"])).metadata == {"tags": ["demo"]}
    assert set(seeded) == {"api_key"}
    assert 4_500 < SpendLog.objects.count() < 6_000
    assert not Reservation.objects.exists()


def test_its_books_balance(seeded):
    assert count(WINDOWS_NOT_AS_LOGGED) == 0
    assert count(CALLS_OUTSIDE_THEIR_WINDOW) == 0
    assert count(ROLLUPS_NOT_AS_LOGGED) == 0
    assert count(CALLS_IN_THE_DEFAULT_PARTITION) == 0


def test_it_leaves_the_tag_of_the_documentation_to_be_made(seeded):
    assert not Tag.objects.filter(name="engineering").exists()


def test_it_shows_every_state_that_a_budget_can_be_in(seeded):
    atlas, marketing, platform = map(window_of, ("project-atlas", "marketing", "platform"))
    assert 95 <= 100 * atlas.spent // atlas.limit < 100
    assert marketing.spent >= marketing.limit
    assert 0 < platform.spent < platform.limit // 2
    assert window_of("customer-acme").limit is None
    assert window_of("research").mode == "strict"
    support = Tag.objects.get(name="support")
    assert {support.budget.duration, support.draws.get().budget.duration} == {"monthly", "daily"}
    assert BudgetWindow.objects.filter(is_open=False, spent__gt=0).count() > 20


def test_it_shows_every_kind_of_call(seeded):
    statuses = set(SpendLog.objects.values_list("status", flat=True))
    assert statuses == {"success", "failure", "refused"}
    assert SpendLog.objects.filter(tag_set__tags=[]).exists()
    assert SpendLog.objects.filter(client_disconnected=True).exists()
    refused = SpendLog.objects.filter(status="refused").first()
    assert (refused.cost, refused.windows, refused.error["payer"]) == (0, [], "tag:marketing")
    assert Rollup.objects.filter(cached_tokens__gt=0).exists()


def test_it_bills_by_prices_that_counted_then(seeded):
    price_ids = set(SpendLog.objects.exclude(price_id=None).values_list("price_id", flat=True))
    prices = Price.objects.filter(pk__in=price_ids)
    assert {price.source for price in prices} == {"deployment", "operator"}
    assert all(price.starts_at <= SpendLog.objects.earliest("at").at for price in prices)


def test_it_offers_two_priced_models_at_the_upstream(seeded):
    cards = load_catalogue(database_now())
    assert [card.model_name for card in cards] == ["demo-fast", "demo-smart"]
    assert {card.address for card in cards} == {f"{ADDRESS}/v1"}
    assert [card.tariff.rate("output") for card in cards] == [600_000, 10_000_000]


def test_it_only_tells_the_upstream_where_it_is_when_there_is_a_demo_already(seeded):
    rows = SpendLog.objects.count()

    again = seed("http://127.0.0.1:8888/v1")

    assert again == {"api_key": None}
    assert SpendLog.objects.count() == rows
    assert Deployment.objects.count() == 2
    assert Upstream.objects.get().address == "http://127.0.0.1:8888/v1"


def test_it_refuses_an_upstream_that_is_no_address():
    with pytest.raises(CommandError, match="--upstream must"):
        seed("file:///etc/passwd")


def test_it_does_not_backdate_a_budget_that_was_drawn_from(seeded):
    budget = Budget.objects.get(tag__name="platform")

    with pytest.raises(ValueError, match="drawn from"):
        backdate_budget(budget, database_now())
