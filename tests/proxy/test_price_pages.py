"""Models and prices as pages: what is on offer, exact prices per million, history that stays."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from hypothesis import given
from hypothesis import strategies as st

from proxy.models import Deployment, Upstream
from proxy.offers import Offer, read_offers
from proxy.price_form import PriceForm, shown_prices
from spend.models import Audit, Price
from spend.rollover import database_now
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_model, unique
from tests.past import make_past_call
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
DAY = timedelta(days=1)


@pytest.fixture
def root():
    return root_client()


def names_in(answer):
    return [offer.row.model_name for offer, _ in answer.context["offers"]]


def price_now(row):
    (offer,) = read_offers([Deployment.objects.select_related("upstream").get(pk=row.pk)],
                           database_now())  # fmt: skip
    return offer.rates


def new_model(**changes):
    return {
        "model_name": "fast", "upstream_model": "gpt-4o-mini", "aliases": "", "enabled": "on",
        "upstream": "", "up-provider": "openai", "up-address": "http://127.0.0.1:1/v1",
        "up-new_secret": "sk-provider-0123456789abcdef", "order": "1", "weight": "1",
        "terms": "{}", "input": "2.50", "output": "10", **changes,
    }  # fmt: skip


# -- the list --------------------------------------------------------------------------------------


def test_it_shows_what_is_on_offer_with_what_has_no_price_first(
    root, django_assert_max_num_queries
):
    make_model("a-priced", input="2.5", output="10")
    make_model("b-bare", input=None, output=None)
    make_past_call(model="a-priced", cost=dollars("3"))

    with django_assert_max_num_queries(9):
        answer = root.get("/prices/")

    assert names_in(answer) == ["b-bare", "a-priced"]
    text = text_of(answer)
    assert "No price" in text
    assert "$2.50" in text
    assert [use.cost for _, use in answer.context["offers"]] == [0, dollars("3")]
    assert names_in(root.get("/prices/?state=unpriced")) == ["b-bare"]
    assert names_in(root.get("/prices/?state=own")) == ["a-priced"]
    assert names_in(root.get("/prices/?q=PRICED")) == ["a-priced"]
    assert "No model matches" in text_of(root.get("/prices/?q=zzz%00"))


@pytest.mark.parametrize(
    ("terms", "lacks"),
    [
        ({"provider": "openai", "address": "https://api.openai.com/v1"}, True),
        ({"provider": "openai", "address": "https://api.openai.com/v1", "secret": b"s"}, False),
        ({"provider": "groq", "address": "https://api.groq.com/x", "secret_variable": "K"}, False),
        ({"provider": "openai", "address": "http://127.0.0.1:1/v1"}, False),
        ({"provider": "openai", "address": "https://llm.example/v1"}, False),
        ({"provider": "ollama", "address": "http://localhost:11434/v1"}, False),
        ({"provider": "gone", "address": "http://localhost:1"}, False),
    ],
)
def test_it_knows_who_serves_nobody_without_a_secret(terms, lacks):
    assert Offer(Deployment(upstream=Upstream(**terms)), None).lacks_secret is lacks


def test_it_warns_of_a_model_without_its_secret(root):
    row = make_model("m", secret=None)
    for address, said in (("http://127.0.0.1:1", "Ready"), ("https://api.openai.com", "No secret")):
        Upstream.objects.update(address=address)
        for page in ("/prices/", f"/prices/{row.pk}/"):
            assert f"</span> {said}" in text_of(root.get(page))


def test_it_says_what_there_is_when_there_is_nothing(root):
    assert "No models yet." in text_of(root.get("/prices/"))


def test_it_has_the_price_list_loaded_by_a_job(root, monkeypatch):
    asked = []
    monkeypatch.setattr("proxy.pages.prices.load_prices.delay", lambda: asked.append(1))

    assert "is being loaded" in text_of(root.post("/prices/", follow=True))
    assert asked == [1]


# -- prices ----------------------------------------------------------------------------------------


@given(st.integers(0, 10**12))
def test_a_price_per_million_comes_back_as_it_was_typed(picos):
    """Whatever a row can hold, to the pico-dollar."""
    shown = shown_prices({"input": picos})

    form = PriceForm({"input": shown["input"]})

    assert form.is_valid(), form.errors
    assert form.rates == {"input": picos}


@pytest.mark.parametrize("text", ["abc", "-1", "1e5", "NaN", "2.1234567890123", "10000001", ""])
def test_what_is_no_price_is_told_at_its_field(text):
    form = PriceForm({"input": text})

    assert not form.is_valid()
    assert form.errors["input"]


def test_a_price_is_previewed_set_and_never_changed(root):
    model = make_model("m", input="2", output="8")
    first = Price.objects.get()
    make_past_call(model="m", cost=dollars("5"))

    body = {"input": "4", "output": "16"}
    preview = root.post(f"/prices/{model.pk}/price/", {**body, "preview": "1"},
                        headers={**HTMX, "HX-Target": "preview"})  # fmt: skip
    # 400 tokens in at $4, 100 out at $16 a million
    assert preview.context["would"] == dollars("0.0032")
    assert Price.objects.count() == 1

    root.post(f"/prices/{model.pk}/price/", body)

    assert price_now(model) == {"input": 4_000_000, "output": 16_000_000}
    first.refresh_from_db()
    assert first.rates == {"input": 2_000_000, "output": 8_000_000}
    assert Audit.objects.latest("id").action == "price"
    text = text_of(root.get(f"/prices/{model.pk}/"))
    assert "counts now" in text
    assert "$8.00 per 1M tokens" in text  # the old one too


def test_a_price_may_begin_later_but_not_before_now(root):
    model = make_model("m", input="2", output="8")
    later = (database_now() + DAY).strftime("%Y-%m-%dT%H:%M:%S")

    root.post(f"/prices/{model.pk}/price/", {"input": "3", "output": "8", "starts": later})

    assert price_now(model)["input"] == 2_000_000
    assert "to come" in text_of(root.get(f"/prices/{model.pk}/"))
    past = {"input": "3", "starts": "2020-01-01T00:00:00"}
    assert "cannot begin in the past" in text_of(root.post(f"/prices/{model.pk}/price/", past), 422)


def test_back_to_the_price_list(root):
    model = make_model("m", input="2", output="8")

    root.post(f"/prices/{model.pk}/price/", {"list": "1"})

    assert price_now(model) == {}
    assert Price.objects.count() == 2


def test_tiers_outlive_a_change_of_the_base(root):
    more = {"input_cost_per_token_above_200k_tokens": Decimal("0.000005")}
    model = make_model("m", input="2", output="8", prices=more)

    root.post(f"/prices/{model.pk}/price/", {"input": "3", "output": "8"})

    assert price_now(model) == {
        "input": 3_000_000, "output": 8_000_000, "above": {"200000": {"input": 5_000_000}},
    }  # fmt: skip


# -- models ----------------------------------------------------------------------------------------


def test_a_model_is_added_with_its_upstream_and_price(root):
    answer = root.post("/prices/new/", new_model(), follow=True)

    row = Deployment.objects.select_related("upstream").get()
    assert (row.model_name, row.upstream.address, row.created_by) == (
        "fast", "http://127.0.0.1:1/v1", "root",
    )  # fmt: skip
    assert price_now(row) == {"input": 2_500_000, "output": 10_000_000}
    text = text_of(answer)
    assert "sk-provider" not in text
    assert "sk-...cdef" in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_name": ""}, "required"),
        ({"up-address": "ftp://x"}, "It "),
        ({"up-address": "", "up-provider": "hosted_vllm"}, "It "),
        ({"input": "x"}, "Enter dollars"),
        ({"order": "0"}, "greater than or equal to 1"),
        ({"terms": '{"nonsense": 1}'}, "nonsense is no term of a model"),
        ({"upstream_model": "a*"}, "can end in *"),
        ({"upstream": "00000000-0000-0000-0000-000000000000"}, "valid choice"),
    ],
)
def test_what_is_wrong_with_a_model_is_told_and_none_is_made(root, changes, says):
    assert says in text_of(root.post("/prices/new/", new_model(**changes)), 422)
    assert not Deployment.objects.exists()
    assert not Upstream.objects.exists()


def test_a_model_is_edited_moved_and_taken_off(root):
    model = make_model("m")
    version = Deployment.objects.get().updated_at.isoformat()
    body = new_model(model_name="m2", upstream=str(model.upstream_id), version=version)

    root.post(f"/prices/{model.pk}/edit/", body)

    row = Deployment.objects.get()
    assert (row.model_name, row.upstream_id) == ("m2", model.upstream_id)
    assert root.post(f"/prices/{model.pk}/edit/", body).status_code == 409
    body |= {
        "upstream": "",
        "version": row.updated_at.isoformat(),
        "up-address": "http://127.0.0.1:2/v1",
    }
    root.post(f"/prices/{model.pk}/edit/", body)
    assert Upstream.objects.get().address == "http://127.0.0.1:2/v1"  # the old one went
    root.post(f"/prices/{model.pk}/", {"enabled": "no"})
    assert not Deployment.objects.get().enabled
    assert "Disabled" in text_of(root.get("/prices/?state=off"))


def test_a_model_is_deleted_only_by_its_name(root):
    model = make_model("m")

    assert root.post(f"/prices/{model.pk}/delete/", {"name": "x"}).status_code == 422
    root.post(f"/prices/{model.pk}/delete/", {"name": "m"})
    assert not Deployment.objects.exists()
    assert Price.objects.exists()


def test_whoever_may_only_look_changes_nothing():
    model = make_model("m")
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.groups.add(Group.objects.get(name="FinOps viewer"))
    viewer = client_of(user)

    assert "Add a model" not in text_of(viewer.get("/prices/"))
    assert "Set its price" not in text_of(viewer.get(f"/prices/{model.pk}/"))
    assert viewer.post("/prices/").status_code == 403
    assert viewer.post(f"/prices/{model.pk}/", {"enabled": "no"}).status_code == 403
    for path in ("new", f"{model.pk}/edit", f"{model.pk}/price", f"{model.pk}/delete"):
        assert viewer.get(f"/prices/{path}/").status_code == 403
        assert viewer.post(f"/prices/{path}/", new_model()).status_code == 403
    nobody = client_of(User.objects.create(username="ola", is_staff=True))
    assert nobody.get("/prices/").status_code == 404
