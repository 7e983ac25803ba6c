"""Retrying: what is tried again, where, after what pause; and what each attempt costs."""

import time

import pytest

from proxy import pauses
from proxy.upstreams.contract import Broken, Silent, Unsent
from tests.factories import make_model, make_tag, unique
from tests.fakes import Gate, Reply, chunk, json_reply, plain, streamed

COST = 210_000
RETRIED = [408, 409, 429, 500, 502, 503, 504, 529]
SENT_ON = [400, 404, 413, 415, 422]
USAGE = {"prompt_tokens": 12, "completion_tokens": 18, "total_tokens": 30}


def refusal(status=500, *, headers=None, **members):
    error = {"message": "No.", "type": "scripted", "param": None, "code": None} | members
    return json_reply({"error": error}, status=status, headers=headers)


def silence(error=Silent):
    return Reply(before=[error("nothing came back")])


def take_turns(upstream, *replies):
    """One after the other; the last one for ever."""
    left = list(replies)
    upstream.answers = lambda asked: left.pop(0) if len(left) > 1 else left[0]


def statuses(row):
    return [attempt["status"] for attempt in row.attempts]


def retries_of(answer):
    return answer.headers["x-litellm-attempted-retries"]


# -- what is tried again -------------------------------------------------------------------------


@pytest.mark.parametrize("status", RETRIED)
def test_it_works(gateway, upstream, books, key, model, status):
    take_turns(upstream, refusal(status), plain())

    answer = gateway.chat(model, key=key)

    assert (answer.status, len(upstream.asked), retries_of(answer)) == (200, 2, "1")
    row = books.row(answer.id)
    assert (row.status, row.http_status, row.cost, statuses(row)) == (
        "success", 200, COST, [status, 200],
    )  # fmt: skip
    assert [attempt["cost"] for attempt in row.attempts] == [0, COST]
    assert row.attempts[0]["error"] == "scripted"
    assert row.flags == []


def test_so_is_what_was_never_sent(gateway, upstream, books, key, model):
    take_turns(upstream, silence(Unsent), silence(Unsent), plain())

    answer = gateway.chat(model, key=key)

    assert (answer.status, retries_of(answer)) == (200, "2")
    assert statuses(books.row(answer.id)) == [None, None, 200]
    assert books.row(answer.id).cost == COST


def test_it_gives_up_after_two(gateway, upstream, books, key, model):
    upstream.reply(refusal(503))

    answer = gateway.chat(model, key=key)

    assert (answer.status, len(upstream.asked), retries_of(answer)) == (503, 3, "2")
    row = books.row(answer.id)
    assert (row.status, row.cost, statuses(row)) == ("failure", 0, [503, 503, 503])
    assert answer.error["type"] == row.error["type"] == "scripted"


@pytest.mark.parametrize(
    "reply",
    [*map(refusal, SENT_ON), refusal(401), refusal(403), refusal(200), silence(), silence(Broken)],
)
def test_it_tries_nothing_again_that_this_cannot_cure(gateway, upstream, key, model, reply):
    upstream.reply(reply)

    answer = gateway.chat(model, key=key)

    assert (len(upstream.asked), retries_of(answer)) == (1, "0")


def test_a_stream_that_fails_before_its_first_byte(gateway, upstream, books, key, model):
    take_turns(upstream, refusal(529), streamed())

    answer = gateway.chat(model, key=key, stream=True)

    assert (answer.events[-1], retries_of(answer)) == ("[DONE]", "1")
    assert (books.row(answer.id).cost, statuses(books.row(answer.id))) == (COST, [529, 200])


def test_a_stream_that_fails_after_its_first_byte_is_not(
    gateway, upstream, books, key, model, settings
):
    settings.RETRY_AFTER_TIMEOUT = True
    take_turns(upstream, streamed(chunk(), chunk("Hel"), Broken("cut")), streamed())

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.status == 200
    assert answer.events[-1]["error"]["type"] == "upstream_error"
    assert len(upstream.asked) == 1
    assert len(books.row(answer.id).attempts) == 1


# -- how often, where and when -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "members", "headers", "asked"),
    [
        (None, {"num_retries": 1}, {}, 2),
        (None, {"num_retries": 9}, {}, 3),
        (None, {"num_retries": None}, {}, 3),
        (None, {}, {"x-litellm-num-retries": "0"}, 1),
        (None, {"num_retries": 2}, {"x-litellm-num-retries": "1"}, 2),
        (0, {"num_retries": 2}, {}, 1),
        (3, {}, {}, 4),
    ],
)
def test_a_call_may_lower_its_retries(gateway, upstream, key, own, members, headers, asked):
    upstream.reply(refusal())

    gateway.chat(make_model(max_retries=own), key=key, headers=headers, **members)

    assert len(upstream.asked) == asked


def test_other_deployments_come_first_and_at_once(gateway, upstream, books, key, settings):
    settings.RETRY_PAUSE_SECONDS = 30.0
    name = unique("model")
    first, second = (make_model(name, address=f"https://{n}.example/v1", order=n) for n in (1, 2))
    take_turns(upstream, refusal(headers={"retry-after": "3600"}), plain())

    answer = gateway.chat(name, key=key)

    assert [asked.url[:17] for asked in upstream.asked] == [
        "https://1.example",
        "https://2.example",
    ]
    assert answer.headers["x-litellm-model-id"] == str(second.id)
    row = books.row(answer.id)
    assert row.deployment_id == second.id
    assert [a["model_id"] for a in row.attempts] == [str(first.id), str(second.id)]


def test_a_pause_doubles_and_varies_by_a_quarter(monkeypatch, settings):
    settings.RETRY_PAUSE_SECONDS = 0.25
    monkeypatch.setattr(pauses.random, "uniform", lambda least, most: most)

    found = [pauses.pause_seconds(n, told({})) for n in (1, 2, 3, 9)]

    assert found == [0.3125, 0.625, 1.25, 5.0]


def told(headers):
    from proxy.errors import Failure

    return Failure(429, "scripted", "No.", headers=headers)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": "6"}, None),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, pytest.approx(0.001, rel=0.3)),
        ({"retry-after": "soon"}, pytest.approx(0.001, rel=0.3)),
        ({"retry-after": "-3"}, pytest.approx(0.001, rel=0.3)),
        ({"retry-after": "nan"}, pytest.approx(0.001, rel=0.3)),
    ],
    ids=str,
)
def test_an_upstream_may_ask_for_five_seconds(settings, headers, seconds):
    settings.RETRY_PAUSE_SECONDS = 0.001

    assert pauses.pause_seconds(1, told(headers)) == seconds


def test_it_waits_as_long_as_the_upstream_asks(gateway, upstream, key, model):
    take_turns(upstream, refusal(429, headers={"retry-after-ms": "80"}), plain())
    began = time.monotonic()

    assert gateway.chat(model, key=key).status == 200

    assert time.monotonic() - began >= 0.08


@pytest.mark.parametrize(
    ("terms", "members"),
    [
        ({}, {"timeout": 0.5}),
        ({"terms": {"total_timeout": 1}}, {}),
    ],
)
def test_no_time_is_left_for_a_pause(gateway, upstream, key, settings, terms, members):
    settings.RETRY_PAUSE_SECONDS = 4.0
    upstream.reply(refusal())

    answer = gateway.chat(make_model(**terms), key=key, **members)

    assert (answer.status, len(upstream.asked)) == (500, 1)


def test_a_further_attempt_has_the_time_that_is_left(gateway, upstream, key, model):
    take_turns(upstream, refusal(headers={"retry-after-ms": "60"}), plain())

    gateway.chat(model, key=key, timeout=9)

    first, second = (asked.timeouts for asked in upstream.asked)
    assert (first.first_byte_seconds, first.total_seconds) == (9, 9)
    assert 8 < second.first_byte_seconds == second.total_seconds <= 8.94


def test_a_calls_timeout_bounds_the_beginning_of_a_stream(gateway, upstream, key):
    model = make_model(terms={"connect_timeout": 2, "chunk_timeout": 30, "total_timeout": 700})

    gateway.chat(model, key=key, stream=True, headers={"x-litellm-timeout": "7.5"})

    told = upstream.last.timeouts
    assert (told.first_byte_seconds, told.total_seconds) == (7.5, 700)
    assert (told.connect_seconds, told.between_chunks_seconds) == (2, 30)


def test_nobody_waits_for_a_client_that_left_in_a_pause(
    gateway, upstream, books, key, model, settings
):
    settings.RETRY_PAUSE_SECONDS = 4.0
    gate = Gate()
    upstream.reply(Reply(500, {}, [], before=[gate]))
    tag = make_tag()
    call = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()
    gate.open()
    time.sleep(0.05)  # into the pause
    began = time.monotonic()

    call.hang_up()
    gateway.rest()

    assert time.monotonic() - began < 2
    assert len(upstream.asked) == 1
    (row,) = books.rows(tag)
    assert (row.http_status, row.status, row.cost) == (499, "failure", 0)


@pytest.mark.parametrize(
    ("members", "headers", "param"),
    [
        ({"num_retries": -1}, {}, "num_retries"),
        ({"num_retries": "2"}, {}, "num_retries"),
        ({"num_retries": True}, {}, "num_retries"),
        ({"timeout": 0}, {}, "timeout"),
        ({"timeout": "5"}, {}, "timeout"),
        ({"fallbacks": "m"}, {}, "fallbacks"),
        ({"fallbacks": ["m"] * 6}, {}, "fallbacks"),
        ({"fallbacks": ["m", 7]}, {}, "fallbacks[1]"),
        ({"fallbacks": [{"m": ["n"]}]}, {}, "fallbacks[0]"),
        ({"disable_fallbacks": "yes"}, {}, "disable_fallbacks"),
        ({}, {"x-litellm-num-retries": "two"}, "x-litellm-num-retries"),
        ({}, {"x-litellm-num-retries": "1.5"}, "x-litellm-num-retries"),
        ({}, {"x-litellm-timeout": "nan"}, "x-litellm-timeout"),
        ({}, {"x-litellm-timeout": "-1"}, "x-litellm-timeout"),
        ({}, {"x-litellm-timeout": "9" * 40}, "x-litellm-timeout"),
    ],
    ids=str,
)
def test_it_refuses_wishes_that_make_no_sense(
    gateway, upstream, key, model, members, headers, param
):
    answer = gateway.chat(model, key=key, headers=headers, **members)

    assert (answer.status, answer.error["type"]) == (400, "invalid_parameter")
    assert answer.error["param"] == param
    assert upstream.asked == []


# -- what it costs -------------------------------------------------------------------------------


def test_each_attempt_that_tells_a_usage_is_billed(gateway, upstream, books, key, model):
    failed = json_reply({"error": {"message": "Late.", "type": "late"}, "usage": USAGE}, status=503)
    take_turns(upstream, failed, plain())
    tag = make_tag(limit="1", mode="strict")

    answer = gateway.chat(model, key=key, tags=[tag], max_tokens=100)

    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage_source) == ("success", 2 * COST, "upstream")
    assert [attempt["cost"] for attempt in row.attempts] == [COST, COST]
    assert answer.headers["x-litellm-response-cost"] == "0.00042"
    assert max(row.holds) > 2 * COST  # what was owed, and the bound of the second one


def test_an_attempt_that_was_silent_is_billed_beside_the_one_that_answers(
    gateway, upstream, books, key, model, settings
):
    settings.RETRY_AFTER_TIMEOUT = True
    take_turns(upstream, silence(), plain())
    tag = make_tag(limit="1", mode="strict")

    answer = gateway.chat(model, key=key, tags=[tag], max_tokens=100)

    assert (answer.status, retries_of(answer)) == (200, "1")
    row = books.row(answer.id)
    first, second = row.attempts
    bound = max(row.holds) // 2  # of one attempt: both are the same
    assert (first["cost"], first["error"], second["cost"]) == (bound, "upstream_timeout", COST)
    assert (row.status, row.cost) == ("success", bound + COST)
    assert row.flags == ["estimated_attempt"]
    assert books.spent(tag) == row.cost


def test_a_strict_budget_has_room_for_both_or_there_is_no_second(
    gateway, upstream, books, key, model, settings
):
    settings.RETRY_AFTER_TIMEOUT = True
    take_turns(upstream, silence(), plain())
    tag = make_tag(limit="0.003", mode="strict")  # one bound is about 0.0019

    answer = gateway.chat(model, key=key, tags=[tag], max_tokens=100)

    assert (answer.status, answer.error["type"]) == (504, "upstream_timeout")
    assert len(upstream.asked) == 1
    row = books.row(answer.id)
    assert (row.status, row.flags) == ("estimated", ["no_room_to_retry"])
    assert (books.spent(tag), books.reserved(tag)) == (row.cost, 0)


def test_a_second_try_of_what_cost_nothing_needs_no_more_room(gateway, upstream, key, model):
    take_turns(upstream, refusal(), plain())

    answer = gateway.chat(
        model, key=key, tags=[make_tag(limit="0.003", mode="strict")], max_tokens=100
    )

    assert answer.status == 200


def test_a_last_attempt_that_fails_leaves_what_the_first_may_cost(
    gateway, upstream, books, key, model, settings
):
    settings.RETRY_AFTER_TIMEOUT = True
    take_turns(upstream, silence(Broken), refusal(500))

    answer = gateway.chat(model, key=key)

    row = books.row(answer.id)
    assert (answer.status, row.status, row.http_status) == (500, "estimated", 500)
    assert row.cost == row.attempts[0]["cost"] > 0
    assert answer.headers["x-litellm-response-cost"] != "0.0"


def test_the_log_tells_each_attempts_cost(gateway, upstream, key, model, management):
    take_turns(upstream, refusal(), plain())
    answer = gateway.chat(model, key=key)
    gateway.rest()

    told = management.get(f"/spend/logs/{answer.id}").json()

    assert [(a["status"], a["spend"], a["error"]) for a in told["attempts"]] == [
        (500, 0.0, "scripted"), (200, 0.00021, None),
    ]  # fmt: skip


def test_a_ledger_that_cannot_be_asked_means_no_second_attempt(
    gateway, upstream, books, key, model, settings, monkeypatch
):
    from spend.errors import BudgetUnavailable

    async def fail(ledger, hold, owed, estimate):
        raise BudgetUnavailable("away")

    settings.RETRY_AFTER_TIMEOUT = True
    monkeypatch.setattr(type(gateway.worker.ledger), "add_attempt", fail)
    upstream.reply(silence())

    answer = gateway.chat(model, key=key)

    assert (answer.status, len(upstream.asked)) == (504, 1)
    assert books.row(answer.id).flags == []
