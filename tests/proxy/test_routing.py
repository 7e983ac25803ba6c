"""Routing: names, aliases, wildcards; what key and tags allow; tags that lead to deployments."""

from collections import Counter

import pytest

from proxy.models import Deployment
from tests.factories import make_key, make_model, make_tag, unique


def served_by(answer):
    assert answer.status == 200, answer.body
    return answer.headers["x-litellm-model-id"]


def test_an_unknown_model_is_told(gateway, key):
    answer = gateway.chat("nobody/knows", key=key)

    assert (answer.status, answer.error["type"]) == (404, "model_not_found")
    assert answer.error["param"] == "model"


def test_an_alias_is_a_name(gateway, books, key):
    alias = unique("alias")
    model = make_model(aliases=[alias])

    answer = gateway.chat(alias, key=key)

    assert served_by(answer) == str(model.id)
    assert books.row(answer.id).model == alias


def test_a_wildcard_passes_on_what_is_behind_it(gateway, upstream, books, key):
    prefix = unique("any")
    make_model(f"{prefix}/*", upstream_model="*")
    longer = make_model(f"{prefix}/acme-*", upstream_model="acme/*")

    answer = gateway.chat(f"{prefix}/acme-large", key=key)

    assert served_by(answer) == str(longer.id)
    assert upstream.last.body["model"] == "acme/large"
    assert books.row(answer.id).model == f"{prefix}/acme-large"


def test_an_exact_name_wins_over_a_wildcard(gateway, key):
    prefix = unique("any")
    make_model(f"{prefix}/*", upstream_model="*")
    exact = make_model(f"{prefix}/one")

    assert served_by(gateway.chat(f"{prefix}/one", key=key)) == str(exact.id)


def test_a_disabled_deployment_is_not_there(gateway, key):
    model = make_model(enabled=False)

    assert gateway.chat(model, key=key).status == 404


def test_a_changed_price_counts_at_once(gateway, books, key, model):
    from decimal import Decimal

    from proxy.deployments import change_deployment

    before = gateway.chat(model, key=key)
    prices = {"input_cost_per_token": Decimal("0.000005")}
    change_deployment(model.id, {}, {}, prices, actor="test")

    after = gateway.chat(model, key=key)

    assert books.row(before.id).cost == 210_000
    assert books.row(after.id).cost == 12 * 5_000 + 18 * 10_000


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ([], 200),
        (["gpt-*"], 200),
        (["*"], 200),
        (["gpt-?"], 403),
        (["GPT-*"], 403),
        (["other"], 403),
    ],
)
@pytest.mark.parametrize("who", ["key", "tag"])
def test_models_may_be_restricted(gateway, upstream, books, key, allowed, status, who):
    model = make_model(unique("gpt-four"))
    tag = make_tag(columns={"allowed_models": allowed if who == "tag" else []})
    key = make_key(columns={"allowed_models": allowed if who == "key" else []})

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.status == status
    if answer.status == 403:
        assert answer.error["type"] == f"{who}_model_access_denied"
        assert answer.error["param"] == "model"
        assert upstream.asked == []
        assert not books.has_trace(answer.id)


def test_a_deployment_may_be_allowed_by_its_id(gateway):
    name = unique("model")
    wanted, other = make_model(name), make_model(name)
    key = make_key(columns={"allowed_models": [str(wanted.id)]})

    found = {served_by(gateway.chat(name, key=key)) for _ in range(20)}

    assert found == {str(wanted.id)}
    assert other.id != wanted.id


def test_the_lowest_order_serves(gateway, key):
    name = unique("model")
    make_model(name, order=2)
    first = make_model(name, order=1)

    assert {served_by(gateway.chat(name, key=key)) for _ in range(10)} == {str(first.id)}


def test_weights_share_the_calls(gateway, key):
    name = unique("model")
    heavy, light, none = (make_model(name, weight=weight) for weight in (9, 1, 0))

    found = Counter(served_by(gateway.chat(name, key=key)) for _ in range(100))

    assert found[str(heavy.id)] > found[str(light.id)]
    assert found[str(none.id)] == 0


def test_an_endpoint_that_a_model_lacks_is_told(gateway, key):
    model = make_model(terms={"supported_endpoints": ["embeddings"]})

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (400, "unsupported_endpoint")


# -- by tags -------------------------------------------------------------------------------------


@pytest.fixture
def routed(books, settings):
    """A model with a deployment for each of some sets of tags; ids by those sets."""
    settings.TAG_ROUTING = "any"
    name = unique("model")
    sets = [("paid",), ("free",), ("paid", "eu"), ("default",)]
    return name, {tags: str(make_model(name, tags=list(tags)).id) for tags in sets}


def found(gateway, key, name, tags):
    return {served_by(gateway.chat(name, key=key, tags=tags)) for _ in range(12)}


def test_tags_lead_to_deployments(gateway, key, routed):
    name, ids = routed

    assert found(gateway, key, name, ["free", "budget-tag"]) == {ids["free",]}
    assert found(gateway, key, name, ["eu"]) == {ids["paid", "eu"]}
    assert found(gateway, key, name, ["paid"]) == {ids["paid",], ids["paid", "eu"]}


@pytest.mark.parametrize("tags", [[], ["budget-tag"], ["default"]])
def test_calls_that_no_tag_leads_go_to_the_default(gateway, key, routed, tags):
    name, ids = routed

    assert found(gateway, key, name, tags) == {ids["default",]}


def test_all_tags_may_have_to_fit(gateway, key, routed, settings):
    settings.TAG_ROUTING = "all"
    name, ids = routed

    assert found(gateway, key, name, ["paid", "eu"]) == {ids["paid", "eu"]}
    nowhere = gateway.chat(name, key=key, tags=["paid", "free"])
    assert (nowhere.status, nowhere.error["type"]) == (403, "no_deployment_for_tags")
    assert nowhere.error["param"] == "metadata.tags"


def test_routing_is_off_by_default(gateway, key, routed, settings):
    settings.TAG_ROUTING = "off"
    name, _ = routed

    assert len({served_by(gateway.chat(name, key=key, tags=["free"])) for _ in range(40)}) > 1


def test_a_model_may_have_its_own_mode(gateway, key, routed, settings):
    settings.TAG_ROUTING = "off"
    name, ids = routed
    for deployment in Deployment.objects.filter(model_name=name):
        deployment.terms = {"tag_routing": "any"}
        deployment.save()

    assert found(gateway, key, name, ["free"]) == {ids["free",]}


def test_a_deployments_tags_are_not_charged(gateway, books, key, routed):
    name, _ = routed

    answer = gateway.chat(name, key=key)

    assert "x-tollgate-tags" not in answer.headers
