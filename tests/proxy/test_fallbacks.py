"""Fallbacks: another model serves the call as if it had been asked for, or the failure is told."""

import pytest

from tests.factories import make_key, make_model, make_tag, unique
from tests.fakes import plain
from tests.proxy.test_retrying import refusal, take_turns

COST = 210_000
TOO_LONG = {"code": "context_length_exceeded", "type": "invalid_request_error"}


@pytest.fixture(autouse=True)
def untried_again(settings):
    settings.RETRIES_MAX = 0


def make_pair(**terms):
    """A model that falls back on another; the other one's own terms are `terms`."""
    other = make_model(**terms)
    return make_model(terms={"fallbacks": [other.model_name]}), other


def fallbacks_of(answer):
    return answer.headers["x-litellm-attempted-fallbacks"]


def models_of(upstream):
    return [asked.body["model"] for asked in upstream.asked]


def test_it_works(gateway, upstream, books, key):
    model, other = make_pair(input="5", output="20")
    take_turns(upstream, refusal(503), plain())

    answer = gateway.chat(model, key=key)

    assert (answer.status, fallbacks_of(answer)) == (200, "1")
    assert answer.headers["x-litellm-attempted-retries"] == "0"
    assert answer.headers["x-litellm-model-id"] == str(other.id)
    assert answer.headers["x-litellm-model-group"] == model.model_name
    row = books.row(answer.id)
    assert (row.model, row.deployment_id) == (model.model_name, other.id)
    assert row.upstream_model == "fake-1"
    assert (row.cost, row.status) == (2 * COST, "success")  # by the other's price
    assert [attempt["model_id"] for attempt in row.attempts] == [str(model.id), str(other.id)]


@pytest.mark.parametrize("status", [401, 402, 403, 407, 408, 429, 500, 529])
def test_what_another_model_may_cure(gateway, upstream, key, status):
    model, _ = make_pair()
    take_turns(upstream, refusal(status), plain())

    assert gateway.chat(model, key=key).status == 200


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422])
def test_what_it_cannot(gateway, upstream, key, status):
    model, _ = make_pair()
    upstream.reply(refusal(status))

    answer = gateway.chat(model, key=key)

    assert (answer.status, fallbacks_of(answer), len(upstream.asked)) == (status, "0", 1)


def test_each_model_has_its_retries_and_each_is_tried_in_order(gateway, upstream, key, settings):
    settings.RETRIES_MAX = 1
    second, third = make_model(), make_model()
    first = make_model(terms={"fallbacks": [second.model_name, third.model_name]})
    upstream.reply(refusal(500))

    answer = gateway.chat(first, key=key)

    names = [model.model_name for model in (first, first, second, second, third, third)]
    assert models_of(upstream) == names
    assert (answer.headers["x-litellm-attempted-retries"], fallbacks_of(answer)) == ("3", "2")


def test_a_call_that_is_too_long_goes_to_a_model_for_that(gateway, upstream, key):
    longer = make_model()
    model = make_model(
        terms={"fallbacks": ["other"], "context_window_fallbacks": [longer.model_name]}
    )
    take_turns(upstream, refusal(400, **TOO_LONG), plain())

    answer = gateway.chat(model, key=key)

    assert (answer.status, models_of(upstream)[-1]) == (200, longer.model_name)


def test_and_nowhere_else(gateway, upstream, key):
    model, _ = make_pair()
    upstream.reply(refusal(400, **TOO_LONG))

    assert gateway.chat(model, key=key).error["code"] == "context_length_exceeded"
    assert len(upstream.asked) == 1


# -- what the client wishes ----------------------------------------------------------------------


def test_a_call_may_name_its_own(gateway, upstream, key):
    model, _ = make_pair()
    mine = make_model()
    take_turns(upstream, refusal(500), plain())

    answer = gateway.chat(model, key=key, fallbacks=[mine.model_name])

    assert answer.headers["x-litellm-model-id"] == str(mine.id)
    assert "fallbacks" not in upstream.last.body


@pytest.mark.parametrize("members", [{"disable_fallbacks": True}, {"fallbacks": []}])
def test_a_call_may_have_none(gateway, upstream, key, members):
    model, _ = make_pair()
    upstream.reply(refusal(500))

    assert gateway.chat(model, key=key, **members).status == 500
    assert len(upstream.asked) == 1


def test_each_name_passes_all_checks_before_anything_is_sent(gateway, upstream, model):
    other = make_model()
    key = make_key(columns={"allowed_models": [model.model_name]})

    unknown = gateway.chat(model, key=key, fallbacks=[model.model_name, "nobody/knows"])
    forbidden = gateway.chat(model, key=key, fallbacks=[other.model_name])

    assert (unknown.status, unknown.error["type"]) == (404, "model_not_found")
    assert unknown.error["param"] == "fallbacks[1]"
    assert (forbidden.status, forbidden.error["type"]) == (403, "key_model_access_denied")
    assert upstream.asked == []


# -- what key, tags and budgets allow ------------------------------------------------------------


def test_a_model_that_the_key_may_not_use_is_passed_by(gateway, upstream):
    allowed, forbidden = make_model(), make_model()
    model = make_model(terms={"fallbacks": [forbidden.model_name, allowed.model_name]})
    key = make_key(columns={"allowed_models": [model.model_name, allowed.model_name]})
    take_turns(upstream, refusal(500), plain())

    answer = gateway.chat(model, key=key)

    assert models_of(upstream) == [model.model_name, allowed.model_name]
    assert (answer.status, fallbacks_of(answer)) == (200, "1")


def test_so_is_one_that_a_tag_may_not_use(gateway, upstream, key):
    model, _ = make_pair()
    tag = make_tag(columns={"allowed_models": [model.model_name]})
    upstream.reply(refusal(500))

    assert gateway.chat(model, key=key, tags=[tag]).status == 500
    assert len(upstream.asked) == 1


def test_it_is_routed_by_the_same_tags(gateway, upstream, key, settings):
    settings.TAG_ROUTING = "any"
    name, tag = unique("other"), unique("paid")
    make_model(name, tags=["default"])
    paid = make_model(name, tags=[tag])
    model = make_model(terms={"fallbacks": [name]})
    take_turns(upstream, refusal(500), plain())

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.headers["x-litellm-model-id"] == str(paid.id)


def test_retries_stay_within_the_tags_deployments_too(gateway, upstream, key, settings):
    settings.TAG_ROUTING, settings.RETRIES_MAX = "any", 2
    name, tag = unique("model"), unique("paid")
    make_model(name, tags=["default"], address="https://free.example/v1")
    make_model(name, tags=[tag], address="https://paid.example/v1")
    upstream.reply(refusal(500))

    gateway.chat(name, key=key, tags=[tag])

    assert {asked.url[:20] for asked in upstream.asked} == {"https://paid.example"}
    assert len(upstream.asked) == 3


@pytest.mark.parametrize(("limit", "status", "asked"), [("0.0045", 200, 2), ("0.0035", 500, 1)])
def test_a_dearer_one_fits_or_is_not_asked(gateway, upstream, books, key, limit, status, asked):
    """The first one's bound is about 0.0019 dollars, the other's twice that; the first cost 0."""
    model, _ = make_pair(input="5", output="20")
    take_turns(upstream, refusal(500), plain())
    tag = make_tag(limit=limit, mode="strict")

    answer = gateway.chat(model, key=key, tags=[tag], max_tokens=100)

    assert (answer.status, len(upstream.asked)) == (status, asked)
    row = books.row(answer.id)
    assert row.flags == ([] if status == 200 else ["no_room_to_retry"])
    assert (books.spent(tag), books.reserved(tag)) == (row.cost, 0)
