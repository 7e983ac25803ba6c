"""Answers: the headers that explain a call, and the refusal in full."""

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest

from tests.factories import dollars, make_key, make_pot, make_tag, unique
from tests.fakes import USAGE, Reply, json_reply, plain


def spend(gateway, upstream, tag, key, model, *, tokens):
    """A call that costs 10,000 nano-dollars for each token."""
    upstream.reply(plain({"prompt_tokens": 4, "completion_tokens": tokens - 1}))
    assert gateway.chat(model, key=key, tags=[tag]).status == 200
    upstream.reply(plain())
    gateway.rest()


def wire_time(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_it_works(gateway, books, model):
    key = make_key(limit="20", columns={"rpm_limit": 60, "tpm_limit": 1_000})
    tag = make_tag(limit="500", duration="30d")

    headers = gateway.chat(model, key=key, tags=[tag, "eu"]).headers

    reset = wire_time(books.window(tag).ends_at)
    assert headers["x-litellm-model-id"] == str(model.id)
    assert headers["x-litellm-model-group"] == model.model_name
    assert headers["x-litellm-response-cost"] == "0.00021"
    assert headers["x-litellm-key-spend"] == "0.00021"
    assert headers["x-litellm-key-max-budget"] == "20.0"
    assert (headers["x-litellm-key-rpm-limit"], headers["x-litellm-key-tpm-limit"]) == (
        "60",
        "1000",
    )
    assert headers["x-litellm-attempted-retries"] == "0"
    assert headers["x-litellm-attempted-fallbacks"] == "0"
    total = float(headers["x-litellm-response-duration-ms"])
    assert 0 <= float(headers["x-litellm-overhead-duration-ms"]) <= total
    assert headers["x-tollgate-tags"] == f"{tag.name},eu"
    assert headers["x-tollgate-budget-tag"] == f"key:{key.alias}"  # least is left of it
    assert headers["x-tollgate-budget-limit"] == "20.0"
    assert headers["x-tollgate-budget-spent"] == "0.00021"
    assert headers["x-tollgate-budget-remaining"] == "19.99979"
    assert "x-tollgate-budget-reset" not in headers  # the key's never ends
    assert headers["x-tollgate-budgets"] == (
        f"key:{key.alias};limit=20.0;remaining=19.99979, "
        f"{tag.name};limit=500.0;remaining=499.99979;reset={reset}"
    )


def test_a_stream_counts_at_what_it_holds(gateway, books, key, model):
    tag = make_tag(limit="1")

    answer = gateway.chat(model, key=key, tags=[tag], stream=True)

    hold = books.row(answer.id).holds[0]
    assert answer.headers["x-tollgate-budget-spent"] == "0.0"
    remaining = dollars(answer.headers["x-tollgate-budget-remaining"])
    assert remaining == dollars("1") - hold
    assert "x-litellm-response-cost" not in answer.headers


def test_without_limits_there_is_nothing_to_say(gateway, key, model):
    headers = gateway.chat(model, key=key, tags=[make_tag()]).headers

    assert not [name for name in headers if name.startswith("x-tollgate-budget")]


def test_names_in_headers_are_encoded(gateway, books, key):
    from tests.factories import make_model

    model = make_model(unique("m\u00fc;%"))
    tag = make_tag(unique("caf\u00e9 100%"), limit="1")

    headers = gateway.chat(model, key=key, tags=[tag]).headers

    assert headers["x-tollgate-budget-tag"].isascii()
    assert unquote(headers["x-tollgate-budget-tag"]) == tag.name
    assert unquote(headers["x-litellm-model-group"]) == model.model_name


def test_at_most_eight_budgets_are_shown(gateway, key, model):
    tags = [make_tag(limit=str(n + 1)) for n in range(10)]

    headers = gateway.chat(model, key=key, tags=tags).headers

    assert headers["x-tollgate-budgets"].count(";limit=") == 8
    assert headers["x-tollgate-budget-tag"] == tags[0].name


def test_a_soft_limit_that_is_passed_is_named(gateway, upstream, key, model):
    tag = make_tag(limit="1", soft_limit="0.0001")
    first = gateway.chat(model, key=key, tags=[tag]).headers
    gateway.rest()

    second = gateway.chat(model, key=key, tags=[tag]).headers

    assert "x-tollgate-soft-budget" not in first
    assert second["x-tollgate-soft-budget"] == tag.name


def test_the_numbers_may_be_hidden(gateway, upstream, model, settings):
    settings.BUDGET_DETAILS = "hidden"
    key, tag = make_key(), make_tag(limit="0.0001")

    served = gateway.chat(model, key=key, tags=[tag])
    gateway.rest()
    refused = gateway.chat(model, key=key, tags=[tag])

    assert refused.json() == {
        "error": {
            "message": f"Budget has been exceeded! Tag={tag.name}",
            "type": "budget_exceeded",
            "param": None,
            "code": "400",
        }
    }
    for answer in (served, refused):
        assert not [name for name in answer.headers if name.startswith("x-tollgate-budget")]


def test_errors_of_calls_explain_them_too(gateway, upstream, key, model):
    tag = make_tag(limit="1")
    upstream.reply(json_reply({"error": {"message": "no"}}, status=429))

    headers = gateway.chat(model, key=key, tags=[tag]).headers

    assert headers["x-litellm-model-id"] == str(model.id)
    assert headers["x-tollgate-tags"] == tag.name
    assert headers["x-litellm-response-cost"] == "0.0"
    assert headers["x-tollgate-budget-remaining"] == "1.0"
    assert float(headers["x-litellm-response-duration-ms"]) >= 0


# -- over budget ---------------------------------------------------------------------------------


def test_a_refusal_is_the_seeds_error_and_our_budget(gateway, upstream, books, key, model):
    """The seed's numbers: 505.50 spent of 500.0."""
    tag = make_tag(limit="500", duration="30d")
    spend(gateway, upstream, tag, key, model, tokens=50_550_000)
    asked = len(upstream.asked)

    answer = gateway.chat(model, key=key, tags=[tag])

    window = books.window(tag)
    row = books.row(answer.id)
    assert answer.status == 400
    assert answer.json() == {
        "error": {
            "message": f"Budget has been exceeded! Tag={tag.name}"
            " Current cost: 505.50, Max budget: 500.0",
            "type": "budget_exceeded",
            "param": None,
            "code": "400",
        },
        "budget": {
            "tag": tag.name,
            "key_alias": None,
            "budget_id": tag.budget.public_id,
            "mode": "standard",
            "spent": 505.5,
            "reserved": 0.0,
            "requested": answer.json()["budget"]["requested"],
            "limit": 500.0,
            "remaining": 0.0,
            "duration": "30d",
            "starts_at": wire_time(window.starts_at),
            "resets_at": wire_time(window.ends_at),
        },
    }
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-tollgate-error-source"] == "gateway"
    assert answer.headers["x-tollgate-budget-tag"] == tag.name
    assert answer.headers["x-tollgate-budget-spent"] == "505.5"
    assert answer.headers["x-tollgate-budget-remaining"] == "0.0"
    assert answer.headers["x-tollgate-budget-reset"] == wire_time(window.ends_at)
    assert answer.headers["x-tollgate-tags"] == tag.name
    assert "retry-after" not in answer.headers
    assert len(upstream.asked) == asked
    assert (row.status, row.cost, row.http_status, row.windows) == ("refused", 0, 400, [])
    assert row.error["type"] == "budget_exceeded"


def test_what_is_held_is_told_apart(gateway, upstream, books, key, model):
    tag = make_tag(limit="0.05", mode="strict")

    answer = gateway.chat(model, key=key, tags=[tag])

    requested = answer.json()["budget"]["requested"]
    assert answer.status == 400
    assert requested > 0.05
    assert answer.error["message"] == (
        f"Budget has been exceeded! Tag={tag.name} Current cost: 0.00, Max budget: 0.05"
        f" In flight: 0.00. This call: up to {requested}."
    )
    assert answer.json()["budget"]["mode"] == "strict"


def test_a_keys_budget_is_named_by_its_alias(gateway, upstream, model):
    key = make_key(limit="0")

    answer = gateway.chat(model, key=key)

    assert answer.error["message"] == (
        f"Budget has been exceeded! Key={key.alias} Current cost: 0.00, Max budget: 0.0"
    )
    assert answer.json()["budget"]["key_alias"] == key.alias
    assert answer.headers["x-tollgate-budget-tag"] == f"key:{key.alias}"


def test_a_pot_is_named_with_its_id(gateway, key, model):
    pot = make_pot(limit="0", public_id=unique("pot"))
    tag = make_tag(pots=[pot])

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.error["message"].startswith(
        f"Budget has been exceeded! Tag={tag.name} Budget={pot.public_id} Current cost: 0.00"
    )


def test_the_first_in_the_order_of_tags_is_named(gateway, model):
    key = make_key(limit="0")
    roomy, first, second = make_tag(limit="1"), make_tag(limit="0"), make_tag(limit="0")

    answer = gateway.chat(model, key=key, tags=[roomy, first, second])

    assert answer.json()["budget"]["tag"] == first.name


def test_no_hold_stays_on_any(gateway, books, key, model):
    roomy, full = make_tag(limit="1"), make_tag(limit="0")

    gateway.chat(model, key=key, tags=[roomy, full])

    assert (books.reserved(roomy), books.spent(roomy), books.reserved(key)) == (0, 0, 0)


@pytest.mark.parametrize("status", [402, 422, 429])
def test_the_status_may_be_another(open_gateway, books, key, model, settings, status):
    settings.BUDGET_EXCEEDED_STATUS = status
    tag = make_tag(limit="0")

    answer = open_gateway().chat(model, key=key, tags=[tag])

    assert (answer.status, answer.error["code"]) == (status, str(status))
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert books.row(answer.id).http_status == status


def test_a_reset_that_is_near_is_worth_waiting_for(open_gateway, books, key, model, settings):
    settings.BUDGET_EXCEEDED_STATUS = 429
    tag = make_tag(limit="0", duration="30s")

    answer = open_gateway().chat(model, key=key, tags=[tag])

    assert 1 <= int(answer.headers["retry-after"]) <= 31


def test_a_refusal_never_extends_a_window(gateway, books, key, model):
    tag = make_tag(limit="0", duration="1d")
    before = books.window(tag)

    for _ in range(3):
        gateway.chat(model, key=key, tags=[tag])

    after = books.window(tag)
    assert (after.id, after.ends_at) == (before.id, before.ends_at)


def test_a_window_that_ended_is_followed_by_the_next(gateway, books, key, model):
    tag = make_tag(limit="0.0001", duration="1s")
    assert gateway.chat(model, key=key, tags=[tag]).status == 200
    gateway.rest()
    old = books.window(tag)
    while datetime.now(UTC) < old.ends_at + timedelta(milliseconds=20):
        pass

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.status == 200
    gateway.rest()
    new = books.window(tag)
    assert new.starts_at >= old.ends_at
    assert (old.spent, new.spent) == (210_000, 210_000)


def test_a_zero_limit_refuses_free_models_too(gateway, key):
    from tests.factories import make_model

    answer = gateway.chat(make_model(input="0", output="0"), key=key, tags=[make_tag(limit="0")])

    assert (answer.status, answer.error["type"]) == (400, "budget_exceeded")


def test_a_plain_answers_bytes_are_the_upstreams(gateway, upstream, key, model):
    raw = b'{"id": "x",  "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n'
    upstream.reply(Reply(200, {"content-type": "application/json"}, [raw[:10], raw[10:]]))

    answer = gateway.chat(model, key=key)

    assert answer.body == raw
    assert USAGE  # the usual one is not in it
