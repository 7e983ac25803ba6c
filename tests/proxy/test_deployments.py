"""Deployments: the verbs on models on offer, and the cards that the hot path holds of them."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext

from proxy.deployment_cards import load_catalogue
from proxy.deployments import (
    DeploymentExists,
    change_deployment,
    create_deployment,
    delete_deployment,
    own_rates,
)
from proxy.models import Deployment, Upstream
from proxy.upstream_terms import UpstreamTerms, masked_secret
from proxy.vault import VaultError, open_secret
from spend.models import Audit, Price
from spend.money import BadAmount
from spend.rollover import database_now

pytestmark = pytest.mark.django_db

SECRET = "sk-provider-0123456789-wxyz"
PRICES = {"input_cost_per_token": Decimal("2e-6"), "output_cost_per_token": Decimal("8e-6")}


@pytest.fixture(autouse=True)
def vault_keys(settings):
    settings.VAULT_KEYS = [Fernet.generate_key().decode()]


def openai(**terms):
    terms = {"address": "https://api.openai.com/v1", "secret": SECRET, **terms}
    return UpstreamTerms(provider="openai", **terms)


def make(model="gpt-4o", upstream=None, prices=(), deployment_id=None, **terms):
    terms = {"model_name": model, "upstream_model": model, **terms}
    return create_deployment(
        terms, upstream or openai(), dict(prices), actor="master", deployment_id=deployment_id
    )


def change(deployment, *, upstream=(), prices=(), **changes):
    return change_deployment(deployment.id, changes, dict(upstream), dict(prices), actor="master")


def only_card(now=None):
    (card,) = load_catalogue(now or database_now())
    return card


# -- creating ------------------------------------------------------------------------------------


def test_it_works():
    deployment = make(prices={"input_cost_per_token": 1, "output_cost_per_token": 0})

    upstream = Upstream.objects.get()
    price = Price.objects.get()
    audit = Audit.objects.get()
    assert deployment.upstream == upstream
    assert open_secret(upstream.id, upstream.secret) == SECRET
    assert (price.source, price.deployment_id) == ("deployment", deployment.id)
    assert price.rates == {"input": 10**12, "output": 0}
    assert (audit.actor, audit.action, audit.kind) == ("master", "create", "model")
    assert audit.after["secret"] == "sk-...wxyz"


def test_it_keeps_the_secret_out_of_all_but_the_vault():
    make()

    upstream = Upstream.objects.get()
    assert SECRET.encode() not in bytes(upstream.secret)
    assert SECRET not in str(list(Audit.objects.values()))
    assert SECRET not in repr(openai())
    assert SECRET not in repr(only_card())


def test_it_shares_an_upstream_of_equal_address_and_secret():
    first, second = make("gpt-4o"), make("gpt-4o-mini")
    other_secret = make("o3", openai(secret="sk-another-secret-0000"))
    other_address = make("o4", openai(address="https://eu.api.openai.com/v1"))
    named = make("o5", openai(secret=None, secret_variable="OPENAI_API_KEY"))
    without = make("o6", openai(secret=None))

    assert first.upstream_id == second.upstream_id
    assert len({d.upstream_id for d in (first, other_secret, other_address, named, without)}) == 5
    assert len(set(Upstream.objects.values_list("name", flat=True))) == 5


def test_it_refuses_an_id_that_is_taken():
    deployment = make()

    with pytest.raises(DeploymentExists):
        make("other", openai(secret="sk-of-the-other-0000"), deployment_id=deployment.id)

    assert Deployment.objects.count() == Upstream.objects.count() == Audit.objects.count() == 1


def test_it_refuses_a_wrong_price_and_stores_nothing():
    with pytest.raises(BadAmount, match="input_cost_per_token"):
        make(prices={"input_cost_per_token": -1})

    assert not Deployment.objects.exists()
    assert not Upstream.objects.exists()


def test_it_refuses_a_secret_that_cannot_be_sealed(settings):
    settings.VAULT_KEYS = []

    with pytest.raises(VaultError):
        make()

    assert not Deployment.objects.exists()


def test_it_does_not_inherit_the_price_of_a_deleted_deployment():
    deployment_id = UUID("0199d0a4-3c20-7e01-a5b2-6c9d0e1f2a3b")
    delete_deployment(make(prices=PRICES, deployment_id=deployment_id).id, actor="master")

    deployment = make(deployment_id=deployment_id)

    assert own_rates(deployment) == {}
    assert only_card().tariff is None


# -- changing ------------------------------------------------------------------------------------


def test_it_changes_only_what_is_named():
    deployment = make(weight=3, terms={"fallbacks": ["a"], "token_margin": 5}, prices=PRICES)

    change(deployment, order=2, terms={"token_margin": None, "tag_routing": "any"})

    deployment.refresh_from_db()
    assert (deployment.order, deployment.weight) == (2, 3)
    assert deployment.terms == {"fallbacks": ["a"], "tag_routing": "any"}
    assert Price.objects.count() == 1
    assert Audit.objects.first().before["order"] == 1
    assert Audit.objects.first().after["order"] == 2


def test_it_writes_no_audit_when_nothing_changes():
    deployment = make(prices=PRICES)

    change(deployment, weight=1, prices=PRICES)

    assert Audit.objects.count() == 1
    assert Price.objects.count() == 1


def test_it_succeeds_a_price_and_never_changes_one():
    deployment = make(prices=PRICES)
    old = Price.objects.get()

    change(deployment, prices={"output_cost_per_token": Decimal("9e-6")})

    assert Price.objects.get(pk=old.pk).rates == {"input": 2_000_000, "output": 8_000_000}
    assert own_rates(deployment) == {"input": 2_000_000, "output": 9_000_000}


def test_it_merges_prices_by_name():
    deployment = make(prices={"image_prices": {"a": 1, "b": 2}})

    change(deployment, prices={"image_prices": {"b": None, "c": 3}})

    assert own_rates(deployment) == {"image_prices": {"a": 10**12, "c": 3 * 10**12}}


def test_it_returns_to_the_list_when_its_own_prices_are_cleared():
    listed = Price.objects.create(
        source="catalogue", provider="openai", model="gpt-4o", rates={"input": 5}
    )
    deployment = make(prices=PRICES)
    assert only_card().tariff.source == "deployment"

    change(deployment, prices=dict.fromkeys(PRICES))

    assert only_card().tariff.price_id == str(listed.id)


def test_it_moves_one_deployment_to_a_new_secret_and_leaves_the_others():
    first, second = make("gpt-4o"), make("gpt-4o-mini")

    change(first, upstream={"secret": "sk-rotated-0123456789", "secret_variable": ""})

    first.refresh_from_db()
    assert open_secret(first.upstream_id, first.upstream.secret) == "sk-rotated-0123456789"
    second.refresh_from_db()
    assert open_secret(second.upstream_id, second.upstream.secret) == SECRET


def test_it_deletes_an_upstream_that_nobody_uses_any_more():
    deployment = make()
    first_id = deployment.upstream_id

    change(deployment, upstream={"address": "https://eu.api.openai.com/v1"})

    upstream = Upstream.objects.get()
    assert upstream.id != first_id
    assert open_secret(upstream.id, upstream.secret) == SECRET


def test_it_takes_a_new_secret_although_the_old_one_cannot_be_opened(settings):
    deployment = make()
    settings.VAULT_KEYS = [Fernet.generate_key().decode()]
    assert only_card().is_locked

    change(deployment, upstream={"secret": "sk-new-0123456789", "secret_variable": ""})

    assert only_card().secret == "sk-new-0123456789"
    assert not only_card().is_locked


def test_it_refuses_to_change_what_is_not_there():
    with pytest.raises(Deployment.DoesNotExist):
        change_deployment(uuid4(), {}, {}, {}, actor="master")


def test_it_deletes_the_deployment_and_its_last_upstream_but_no_price():
    deployment, other = make(prices=PRICES), make("gpt-4o-mini")

    delete_deployment(deployment.id, actor="master")
    assert Upstream.objects.count() == 1
    delete_deployment(other.id, actor="master")

    assert not Upstream.objects.exists()
    assert Price.objects.count() == 1
    assert Audit.objects.first().action == "delete"


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        ({"secret": SECRET}, "sk-...wxyz"),
        ({"secret": "short"}, "sk-..."),
        ({"secret": None}, None),
        ({"secret": None, "secret_variable": "MY_API_KEY"}, "os.environ/MY_API_KEY"),
    ],
)
def test_it_masks_the_secret(terms, shown):
    assert masked_secret(make(upstream=openai(**terms)).upstream) == shown


# -- cards ---------------------------------------------------------------------------------------


def test_a_card_holds_all_that_a_call_needs():
    deployment = make(
        upstream=UpstreamTerms(
            provider="azure", address="https://x.openai.azure.com", api_version="v9", secret=SECRET
        ),
        upstream_model="my-deployment",
        base_model="gpt-4o",
        aliases=["best"],
        tags=["paid"],
        timeout_seconds=30,
        output_tokens_max=16_384,
        terms={"token_margin": 12},
        prices=PRICES,
    )

    card = only_card()

    assert (card.id, card.model_name, card.aliases) == (deployment.id, "gpt-4o", ("best",))
    assert (card.provider, card.dialect) == ("azure", "azure")
    assert (card.address, card.api_version) == ("https://x.openai.azure.com", "v9")
    assert (card.secret, card.is_locked) == (SECRET, False)
    assert (card.upstream_model, card.tags, card.timeout_seconds) == (
        "my-deployment",
        {"paid"},
        30,
    )
    assert (card.limits.output_tokens_max, card.limits.token_margin) == (16_384, 12)
    assert card.tariff.rate("input") == 2_000_000


def test_a_card_is_priced_by_its_base_model_and_its_providers_kin():
    Price.objects.create(source="catalogue", provider="openai", model="gpt-4o", rates={"input": 5})
    azure = UpstreamTerms(provider="azure", address="https://x.openai.azure.com")

    make("a", azure, upstream_model="my-deployment", base_model="gpt-4o")
    make("b", azure, upstream_model="my-deployment", base_model="azure/gpt-4o")
    make("c", azure, upstream_model="my-deployment")

    rates = {card.model_name: card.tariff for card in load_catalogue(database_now())}
    assert rates["a"].rate("input") == rates["b"].rate("input") == 5
    assert rates["c"] is None


def test_a_wildcard_is_priced_by_what_is_asked_for():
    Price.objects.create(source="catalogue", provider="openai", model="gpt-4o", rates={"input": 5})
    make("openai/*", upstream_model="*")

    card = only_card()
    asked = card.for_model("openai/gpt-4o")

    assert (card.is_wildcard, card.tariff) == (True, None)
    assert (asked.upstream_model, asked.tariff.rate("input")) == ("gpt-4o", 5)
    assert card.for_model("openai/other").tariff is None
    assert "Price" not in repr(card)


def test_a_card_without_a_wildcard_is_itself_whatever_is_asked():
    make("gpt-4o", aliases=["best"])
    card = only_card()

    assert card.for_model("best") is card


def test_it_leaves_out_what_is_not_enabled():
    make(enabled=False)

    assert load_catalogue(database_now()) == ()


def test_it_knows_the_price_of_the_instant():
    make(prices=PRICES)
    before = database_now() - timedelta(hours=1)

    assert only_card().tariff is not None
    assert only_card(before).tariff is None


def test_it_loads_in_as_many_queries_for_ten_as_for_one():
    make("m")
    with CaptureQueriesContext(connection) as one:
        load_catalogue(database_now())
    for n in range(9):
        make(f"m{n}", openai(secret=f"sk-secret-number-{n}-0000"), prices=PRICES)

    with CaptureQueriesContext(connection) as ten:
        assert len(load_catalogue(database_now())) == 10

    assert len(ten) == len(one) == 3  # the clock, deployments, prices
