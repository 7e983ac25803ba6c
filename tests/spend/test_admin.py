"""The bank in the admin: what the ledger writes is for reading; prices are added."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from spend.ids import CallIds, correction_id
from spend.models import Audit, BudgetWindow, JobRun, Price, Reservation, SpendLog, TagSet
from spend.rollover import database_now
from tests.admin_clients import ROOT, errors_of, filled, root_client, staff_client, viewer_client
from tests.factories import make_pot, make_tag
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

LOG = "/admin/spend/spendlog/"
WRITTEN_BY_THE_LEDGER = ["spendlog", "tagset", "budgetwindow", "reservation", "audit", "jobrun"]


def make_reservation(**fields):
    now = database_now()
    window = BudgetWindow.objects.open().get(budget=make_pot(limit="5"))
    defaults = {
        "id": CallIds().next(),
        "worker": 7,
        "windows": [window.pk],
        "holds": [4_330_000],
        "estimate": 1_000_000,
        "admitted_at": now,
        "expires_at": now + timedelta(minutes=10),
        "intent": {"model": "gpt-4o", "key_alias": "ci", "key_digest": "d" * 64},
    }
    return Reservation.objects.create(**{**defaults, **fields})


def make_rows():
    """One row of each kind that is for reading; by the model's name."""
    call = make_past_call(tags=("a",), cost=4_330_000)
    return {
        "spendlog": call,
        "tagset": TagSet.objects.get(tags=["a"]).pk,
        "reservation": make_reservation().pk,
        "budgetwindow": BudgetWindow.objects.first().pk,
        "audit": Audit.objects.create(actor="ana", action="create", kind="tag", name="a").pk,
        "jobrun": JobRun.objects.create(job="sweep", started_at=timezone.now()).pk,
    }


# -- for reading -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN_BY_THE_LEDGER)
def test_it_shows_what_the_ledger_writes_and_changes_none_of_it(name):
    key = make_rows()[name]
    page = reverse(f"admin:spend_{name}_change", args=[key])
    client = root_client()

    assert client.get(reverse(f"admin:spend_{name}_changelist")).status_code == 200
    assert client.get(page).status_code == 200
    assert client.get(reverse(f"admin:spend_{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:spend_{name}_add"), {}).status_code == 403
    assert client.post(page, {"reason": "x"}).status_code == 403
    assert client.post(reverse(f"admin:spend_{name}_delete", args=[key])).status_code == 403


@pytest.mark.parametrize("name", [*WRITTEN_BY_THE_LEDGER, "price"])
def test_it_serves_whoever_may_only_view(name):
    rows = {**make_rows(), "price": make_price().pk}
    client = viewer_client()

    assert client.get(reverse(f"admin:spend_{name}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:spend_{name}_change", args=[rows[name]])).status_code == 200
    assert client.get(reverse(f"admin:spend_{name}_add")).status_code == 403


def test_it_shows_nothing_to_whoever_may_view_nothing():
    key = make_rows()["spendlog"]
    client = staff_client()

    assert client.get(LOG).status_code == 403
    assert client.get(f"{LOG}{key}/change/").status_code == 403


def test_it_offers_no_sums_that_would_count_a_table():
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label in ("spend", "tags", "proxy"):
            assert model_admin.show_full_result_count is False, model
            assert model_admin.show_facets is admin.ShowFacets.NEVER, model
            assert not model_admin.date_hierarchy, model
            assert not model_admin.list_editable, model
            assert not model_admin.save_as, model
            assert model_admin.actions_on_top, model


# -- the log -----------------------------------------------------------------------------------


def test_it_lists_the_newest_calls_first():
    make_past_call(tags=("engineering",), cost=4_330_000, key_alias="svc-a", model="gpt-4o")

    page = root_client().get(LOG).content.decode()

    assert '<data value="0.00433">$0.004330</data>' in page
    for text in ("engineering", "svc-a", "gpt-4o", "Success", "400", "100"):
        assert text in page


def test_it_pages_by_the_id_of_the_row_at_the_edge():
    made = [make_past_call(ago=timedelta(minutes=n)) for n in range(120)]
    client = root_client()

    first = client.get(LOG).context["cl"]
    second = client.get(LOG + first.older_link).context["cl"]
    third = client.get(LOG + second.older_link).context["cl"]
    again = client.get(LOG + third.newer_link).context["cl"]

    pages = [[row.id for row in cl.result_list] for cl in (first, second, third, again)]
    assert pages[0] + pages[1] + pages[2] == made
    assert pages[3] == pages[1]
    assert first.newer_link is None
    assert third.older_link is None
    assert first.older_link == f"?before={made[49]}"


def test_its_filters_start_at_the_newest_row_again():
    made = [make_past_call(ago=timedelta(minutes=n)) for n in range(60)]

    page = root_client().get(f"{LOG}?before={made[10]}&status=success").content.decode()

    assert "?range=7d&amp;status=success" in page
    assert "before" not in page.split('id="changelist-filter"')[1]


def test_it_searches_for_equality():
    make_past_call(tags=("engineering",), model="gpt-4o")
    make_past_call(tags=("marketing",), model="gpt-4o")
    client = root_client()

    found = client.get(LOG, {"q": "tag:engineering model:gpt-4o"}).context["cl"].result_list

    assert [row.tag_set.tags for row in found] == [["engineering"]]
    assert not client.get(LOG, {"q": "tag:engineer"}).context["cl"].result_list


@pytest.mark.parametrize("text", ["engineering", "tag:\x00", "'; drop table spend_spendlog; --"])
def test_it_explains_a_search_that_it_cannot_read(text):
    make_past_call(tags=("engineering",))

    page = root_client().get(LOG, {"q": text})

    assert page.status_code == 200
    assert "messagelist" in page.content.decode()


@pytest.mark.parametrize("query", ["before=1", "after=x", "range=1000d", "status=no", "p=9"])
def test_it_reads_addresses_that_people_edited(query):
    call = make_past_call()

    page = root_client().get(f"{LOG}?{query}")

    assert page.status_code == 200
    assert [row.id for row in page.context["cl"].result_list] in ([call], [])


def test_it_counts_nothing_however_long_the_log_is():
    for n in range(30):
        make_past_call(tags=(f"t{n}",), ago=timedelta(minutes=n))
    client = root_client()
    client.get(LOG)

    with CaptureQueriesContext(connection) as sent:
        client.get(LOG)

    of_log = [query["sql"] for query in sent if "spend_spendlog" in query["sql"]]
    assert len(of_log) == 1
    assert "COUNT(" not in of_log[0]
    assert "LIMIT 51" in of_log[0]
    assert len(sent) <= 8


def test_it_shows_every_field_of_a_call():
    call = make_past_call(
        tags=("a", "b"),
        cost=4_330_001,
        intent={
            "provider": "openai",
            "end_user": "u-7",
            "session_id": "s-7",
            "client_request_id": "c-7",
            "user_agent": "curl/8",
            "address": "10.0.0.7",
            "metadata": {"ticket": 7},
            "key_digest": "ab" * 32,
        },
        record={
            "upstream_request_id": "chatcmpl-7",
            "flags": ("drained",),
            "attempts": ({"model_id": "m-7", "status": 503, "ms": 8, "cost": 2_000_001},),
        },
    )

    page = root_client().get(f"{LOG}{call}/change/").content.decode()

    for text in (
        *("4,330,001 nano-dollars = $0.004330001", "u-7", "s-7", "c-7", "curl/8", "10.0.0.7"),
        *(
            "m-7",
            "$0.002000001",
            "chatcmpl-7",
            "drained",
            "ticket",
            "openai",
            "<div>a</div><div>b</div>",
        ),
    ):
        assert text in page, text
    assert "ab" * 32 not in page


def test_it_links_a_call_with_its_correction():
    call = make_past_call(cost=10)
    row = SpendLog.objects.get(id=call)
    row.id, row.corrects = correction_id(call, 1), call
    row.status, row.cost = "correction", -3
    row.save(force_insert=True)
    client = root_client()

    assert f"{LOG}{row.id}/change/" in client.get(f"{LOG}{call}/change/").content.decode()
    assert f"{LOG}{call}/change/" in client.get(f"{LOG}{row.id}/change/").content.decode()


def test_it_says_when_there_is_no_such_call():
    assert root_client().get(f"{LOG}{uuid4()}/change/").status_code == 302


# -- calls in flight, windows, tag sets --------------------------------------------------------


def test_it_shows_what_a_call_in_flight_holds():
    reservation = make_reservation()
    client = root_client()

    listed = client.get("/admin/spend/reservation/").content.decode()
    page = client.get(f"/admin/spend/reservation/{reservation.pk}/change/").content.decode()

    assert "gpt-4o" in listed
    assert '<data value="0.00433">$0.004330</data>' in listed
    assert "ci" in page
    assert "d" * 64 not in page


def test_it_finds_tag_sets_by_a_whole_tag():
    make_past_call(tags=("engineering", "eu"))
    make_past_call(tags=("engine",))

    found = root_client().get("/admin/spend/tagset/", {"q": "engine"}).context["cl"].result_list

    assert [tag_set.tags for tag_set in found] == [["engine"]]


def test_it_lists_windows_in_a_fixed_number_of_queries(django_assert_max_num_queries):
    for _ in range(12):
        make_tag(limit="10", duration="daily")
    client = root_client()
    client.get("/admin/spend/budgetwindow/")

    with django_assert_max_num_queries(6):
        page = client.get("/admin/spend/budgetwindow/").content.decode()

    assert page.count('<data value="10.0">$10.00</data>') == 12


# -- prices ------------------------------------------------------------------------------------


def make_price(**fields):
    defaults = {"source": "operator", "model": "gpt-4o", "rates": {"input": 2_500_000}}
    return Price.objects.create(**{**defaults, **fields})


def add_price(client, **fields):
    page = client.get("/admin/spend/price/add/")
    given = {"model": "gpt-4o", "provider": "openai", "rates": '{"input": 2500000}', **fields}
    return client.post("/admin/spend/price/add/", filled(page, **given))


def test_it_adds_a_price():
    before = database_now()

    answer = add_price(root_client(), note="new contract")

    price = Price.objects.get()
    assert answer.status_code == 302
    assert (price.source, price.provider, price.model) == ("operator", "openai", "gpt-4o")
    assert price.rates == {"input": 2_500_000}
    assert price.created_by == ROOT
    assert price.starts_at >= before
    assert Audit.objects.values_list("actor", "action", "kind", "name", "reason").get() == (
        *(ROOT, "create", "price", "openai/gpt-4o", "new contract"),
    )
    assert LogEntry.objects.get().object_id == str(price.pk)


def test_it_adds_a_price_from_a_date_on():
    add_price(root_client(), starts_at="2030-01-02T03:04:05")

    assert Price.objects.get().starts_at.isoformat() == "2030-01-02T03:04:05+00:00"


def test_it_ends_an_operators_price():
    add_price(root_client(), rates="{}")

    assert Price.objects.get().rates == {}


@pytest.mark.parametrize(
    "rates",
    [
        *("", "[]", "null", '"2.5"', "{", '{"input": 2.5}', '{"input": -1}', '{"inputs": 1}'),
        *('{"input": true}', '{"input": NaN}', '{"input": 1e30}', '{"input": 1000000000001}'),
        *('{"above": {"x": {"input": 1}}}', '{"priority": {"images": 1}}', '{"input": "1"}'),
    ],
)
def test_it_refuses_rates_that_nobody_could_be_billed_by(rates):
    answer = add_price(root_client(), rates=rates)

    assert "rates" in errors_of(answer)
    assert not Price.objects.exists()
    assert not Audit.objects.exists()


def test_it_refuses_two_prices_from_one_moment():
    client = root_client()
    add_price(client, starts_at="2030-01-01T00:00:00")

    answer = add_price(client, starts_at="2030-01-01T00:00:00")

    assert "starts_at" in errors_of(answer)
    assert Price.objects.count() == 1


def test_it_never_changes_a_price():
    price = make_price()
    client = root_client()

    assert client.post(f"/admin/spend/price/{price.pk}/change/", {"note": "x"}).status_code == 403
    assert client.post(f"/admin/spend/price/{price.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Price.objects.get().note == ""


def test_it_shows_prices_per_million_tokens():
    price = make_price(rates={"input": 2_500_000, "cached_input": 75_000, "output": 10_000_000})
    client = root_client()

    listed = client.get("/admin/spend/price/").content.decode()
    page = client.get(f"/admin/spend/price/{price.pk}/change/").content.decode()

    for text in ("$2.50</data>", "$0.075</data>", "$10.00</data>"):
        assert text in listed
    assert "$0.075 per 1M tokens" in page


def test_it_lists_prices_in_a_fixed_number_of_queries(django_assert_max_num_queries):
    for n in range(30):
        make_price(model=f"m-{n}")
    client = root_client()
    client.get("/admin/spend/price/")

    with django_assert_max_num_queries(7):
        client.get("/admin/spend/price/")
