"""Throttling: calls and tokens a minute, and calls at a time, of keys and tags; a real Valkey."""

import asyncio
import math
import re
import socket
import time
from dataclasses import replace
from uuid import uuid4

import pytest
from redis import Redis

from proxy import breaker, rate_counters, throttling
from proxy.rate_counters import Act, keys_of
from proxy.rate_limits import RateLimits
from proxy.upstreams.contract import Broken
from spend.models import SpendLog
from tests.factories import make_key, make_tag
from tests.fakes import FakeUpstream, Gate, chunk, json_reply, plain, streamed

SECONDS_NEEDED = 8  # of one minute, for a test that counts in it
DATABASES = 15  # besides the broker's

PARALLEL = "max_parallel_requests"


@pytest.fixture
def valkey(settings, worker_id):
    """In a database of these tests' own, early enough in its minute."""
    number = 1 + int(worker_id.removeprefix("gw") if worker_id != "master" else 0) % DATABASES
    address, _, _ = settings.REDIS_URL.partition("?")
    settings.REDIS_URL = f"{address}?db={number}"
    with Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        client.flushdb()
        while 60 - client.time()[0] % 60 < SECONDS_NEEDED:
            time.sleep(0.2)
        yield client


@pytest.fixture
def upstream():
    return FakeUpstream()


@pytest.fixture
def gateway(shared_gateway, valkey, open_gateway, upstream, books):
    gateway = open_gateway(upstream)
    yield gateway
    if not gateway.worker.is_closing:
        gateway.rest()
    books.check()


@pytest.fixture
def other(gateway, open_gateway, upstream):
    """A second worker."""
    return open_gateway(upstream)


def make_limited(**columns):
    return make_tag(columns=columns)


def counters_of(gateway):
    return gateway.worker.throttle.counters


def settle(gateway):
    """Until all that was to be counted is."""
    gateway.rest()
    gateway.thread.run(counters_of(gateway).acts.flush())


def minute_of(tag):
    return keys_of(f"tag:{tag.id}")[0]


def parallel_of(tag):
    return keys_of(f"tag:{tag.id}")[1]


def seconds_of(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


def rates(answer, kind):
    """The limit and what remains of it."""
    names = (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}")
    assert 0 < seconds_of(answer.headers[f"x-ratelimit-reset-{kind}"]) <= 60
    return tuple(int(answer.headers[name]) for name in names)


def rate_headers(answer):
    return [name for name in answer.headers if name.startswith("x-ratelimit")]


def is_refused(answer, kind):
    return answer.status == 429 and f"Limit type: {kind}." in answer.error["message"]


# -- requests ------------------------------------------------------------------------------------


def test_requests_beyond_the_limit_are_refused(gateway, upstream, valkey, books, key, model):
    tag = make_limited(rpm_limit=2)

    answers = [gateway.chat(model, key=key, tags=[tag]) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [rates(answer, "requests") for answer in answers] == [(2, 1), (2, 0), (2, 0)]
    assert len(upstream.asked) == 2
    refused = answers[2]
    minute_ends = (valkey.time()[0] // 60 + 1) * 60
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute_ends))
    assert refused.json() == {
        "error": {
            "message": f"Rate limit exceeded for tag: {tag.name}. Limit type: requests. "
            f"Current limit: 2, Remaining: 0. Limit resets at: {reset}",
            "type": "rate_limit_error",
            "param": None,
            "code": "429",
        }
    }
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-tollgate-error-source"] == "gateway"
    assert "x-should-retry" not in refused.headers


def test_a_refusal_leaves_one_row_and_holds_nothing(gateway, books, key, model):
    tag = make_tag(limit="1", columns={"rpm_limit": 1})
    gateway.chat(model, key=key, tags=[tag])

    refused = gateway.chat(model, key=key, tags=[tag])

    row = books.row(refused.id)
    assert (row.status, row.http_status, row.cost) == ("refused", 429, 0)
    assert row.error == refused.error
    assert SpendLog.objects.filter(id=refused.id).count() == 1
    gateway.rest()
    assert (books.spent(tag), books.reserved(tag)) == (210_000, 0)


def test_keys_have_limits_too(gateway, model):
    key = make_key(columns={"rpm_limit": 1})
    other_key = make_key(columns={"rpm_limit": 1})

    answers = [gateway.chat(model, key=caller) for caller in (key, key, other_key)]

    assert [answer.status for answer in answers] == [200, 429, 200]
    assert answers[1].error["message"].startswith(f"Rate limit exceeded for key: {key.alias}. ")


def test_the_headers_tell_the_tightest(gateway, model):
    key = make_key(columns={"rpm_limit": 9, "tpm_limit": 200})
    tags = [make_limited(rpm_limit=5, tpm_limit=300), make_limited(rpm_limit=7), make_tag()]

    answer = gateway.chat(model, key=key, tags=tags)

    assert (rates(answer, "requests"), rates(answer, "tokens")) == ((5, 4), (200, 200))
    assert answer.headers["x-litellm-key-rpm-limit"] == "9"


def test_a_limit_of_another_kind_is_not_spoken_of(gateway, key, model):
    answer = gateway.chat(model, key=key, tags=[make_limited(tpm_limit=200)])
    silent = gateway.chat(model, key=key, tags=[make_limited(max_parallel_requests=2)])

    assert len(rate_headers(answer)) == 3
    assert rates(answer, "tokens") == (200, 200)
    assert rate_headers(silent) == []


def test_every_answer_tells(gateway, upstream, key, model):
    tag = make_limited(rpm_limit=9)
    poor = make_tag(limit="0", columns={"rpm_limit": 9})

    streaming = gateway.chat(model, key=key, tags=[tag], stream=True)
    over_budget = gateway.chat(model, key=key, tags=[poor])
    upstream.reply(json_reply({"error": {"message": "no"}}, status=500))
    failed = gateway.chat(model, key=key, tags=[tag])

    assert (streaming.status, over_budget.status, failed.status) == (200, 400, 500)
    assert rates(streaming, "requests") == (9, 8)
    assert rates(over_budget, "requests") == (9, 8)
    assert rates(failed, "requests") == (9, 7)


def test_who_refuses_counts_the_call_nowhere(gateway, valkey, key, model):
    full, roomy = make_limited(rpm_limit=1), make_limited(rpm_limit=5, max_parallel_requests=5)
    gateway.chat(model, key=key, tags=[full])

    refused = gateway.chat(model, key=key, tags=[roomy, full])

    assert is_refused(refused, "requests")
    assert f"tag: {full.name}." in refused.error["message"]
    assert not valkey.exists(minute_of(roomy), parallel_of(roomy))


def test_the_tags_refuse_in_their_order_and_then_the_key(gateway, model):
    key = make_key(columns={"rpm_limit": 1})
    first, second = make_limited(rpm_limit=1), make_limited(rpm_limit=1)
    gateway.chat(model, key=key, tags=[first, second])

    refused = gateway.chat(model, key=key, tags=[second, first])
    by_key = gateway.chat(model, key=key)

    assert f"tag: {second.name}." in refused.error["message"]
    assert f"key: {key.alias}." in by_key.error["message"]


def test_the_next_minute_counts_from_zero(gateway, valkey, key, model):
    tag = make_limited(rpm_limit=1, tpm_limit=1)
    gateway.chat(model, key=key, tags=[tag])
    settle(gateway)
    assert gateway.chat(model, key=key, tags=[tag]).status == 429

    valkey.hincrby(minute_of(tag), "minute", -1)  # as if it had been a minute ago

    answer = gateway.chat(model, key=key, tags=[tag])
    assert (answer.status, rates(answer, "requests")) == (200, (1, 0))
    assert rates(answer, "tokens") == (1, 1)


def test_a_changed_limit_applies_at_once(gateway, management, key, model):
    tag = make_limited(rpm_limit=1)
    gateway.chat(model, key=key, tags=[tag])

    changed = management.post("/tag/update", {"name": tag.name, "rpm_limit": 2})

    assert changed.status_code == 200
    answer = gateway.chat(model, key=key, tags=[tag])
    assert (answer.status, rates(answer, "requests")) == (200, (2, 0))


# -- tokens --------------------------------------------------------------------------------------


def test_tokens_are_counted_when_they_are_known(gateway, key, model):
    tag = make_limited(tpm_limit=31)

    answers = []
    for _ in range(3):
        answers.append(gateway.chat(model, key=key, tags=[tag]))  # 30 tokens each
        settle(gateway)

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [rates(answer, "tokens") for answer in answers] == [(31, 31), (31, 1), (31, 0)]
    assert is_refused(answers[2], "tokens")
    assert "Current limit: 31, Remaining: 0." in answers[2].error["message"]


def test_tokens_of_streams_count(gateway, valkey, key, model):
    tag = make_limited(tpm_limit=100)

    gateway.chat(model, key=key, tags=[tag], stream=True)

    settle(gateway)
    assert valkey.hget(minute_of(tag), "tokens") == "30"


def test_a_failed_call_counts_as_a_request_without_tokens(gateway, upstream, valkey, key, model):
    tag = make_limited(rpm_limit=5, tpm_limit=100)
    upstream.reply(json_reply({"error": {"message": "no"}}, status=400))

    gateway.chat(model, key=key, tags=[tag])

    settle(gateway)
    assert valkey.hmget(minute_of(tag), "requests", "tokens") == ["1", "0"]


# -- calls at a time -----------------------------------------------------------------------------


def test_parallel_calls_beyond_the_limit_are_refused(gateway, upstream, books, key, model):
    tag = make_limited(max_parallel_requests=1)
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    running = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    refused = gateway.chat(model, key=key, tags=[tag])

    gate.open()
    assert running.answer().status == 200
    assert is_refused(refused, PARALLEL)
    assert "Current limit: 1, Remaining: 0. Limit resets at: 20" in refused.error["message"]
    assert refused.headers["retry-after"] == "1"
    assert books.row(refused.id).status == "refused"
    settle(gateway)
    assert gateway.chat(model, key=key, tags=[tag]).status == 200


def test_nobody_is_refused_for_a_call_that_is_over(
    gateway, other, upstream, key, model, monkeypatch
):
    monkeypatch.setattr(throttling, "AGAIN_SECONDS", 1.0)
    tag = make_limited(max_parallel_requests=1)
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    running = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    following = other.start_chat(model, key=key, tags=[tag])

    while counters_of(other).acts.items < 1:  # it was told that there is no room
        time.sleep(0.002)
    gate.open()
    assert (running.answer().status, following.answer().status) == (200, 200)
    assert counters_of(other).acts.items >= 2


def hang_up(gateway, upstream, tag, key, model):
    gate = Gate()
    upstream.reply(streamed(chunk(), gate, chunk(finish="stop")))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    gate.wait_until_reached()
    call.hang_up()
    gate.open()
    call.answer_or_nothing()


def fail_upstream(gateway, upstream, tag, key, model):
    upstream.reply(replace(plain(), before=[Broken("gone")]))
    assert gateway.chat(model, key=key, tags=[tag]).status == 502


def cut_stream(gateway, upstream, tag, key, model):
    upstream.reply(streamed(chunk(), Broken("gone")))
    gateway.chat(model, key=key, tags=[tag], stream=True)


def exceed_budget(gateway, upstream, tag, key, model):
    assert gateway.chat(model, key=key, tags=[tag, make_tag(limit="0")]).status == 400


def succeed(gateway, upstream, tag, key, model):
    assert gateway.chat(model, key=key, tags=[tag]).status == 200


@pytest.mark.parametrize("end", [succeed, hang_up, fail_upstream, cut_stream, exceed_budget])
def test_its_place_is_given_back_on_every_way_out(end, gateway, upstream, valkey, key, model):
    tag = make_limited(max_parallel_requests=1, rpm_limit=5)

    end(gateway, upstream, tag, key, model)

    settle(gateway)
    assert valkey.zcard(parallel_of(tag)) == 0
    assert valkey.hget(minute_of(tag), "requests") == "1"  # it was an attempt
    assert gateway.worker.throttle._in_flight == {}


def test_its_place_is_given_back_when_the_worker_ends(
    gateway, upstream, valkey, key, model, monkeypatch
):
    monkeypatch.setattr("proxy.worker.DRAIN_SECONDS_MAX", 0.1)
    tag = make_limited(max_parallel_requests=1)
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    call = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()
    assert valkey.zcard(parallel_of(tag)) == 1

    gateway.close()

    assert call.answer().status == 503
    assert valkey.zcard(parallel_of(tag)) == 0


def test_who_is_ended_while_he_asks_leaves(gateway, valkey):
    throttle = gateway.worker.throttle
    limits = (RateLimits("tag:ended", "tag: ended", None, None, 1),)

    class Planned:  # all that is looked at here
        call = type("Call", (), {"id": uuid4()})
        rate_limits = limits

    async def ask_and_end():
        asking = asyncio.create_task(throttle.enter(Planned))
        while not throttle.counters.acts.batches:  # noqa: ASYNC110 - it is on its way
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        await throttle.counters.acts.flush()

    gateway.thread.run(ask_and_end())
    assert throttle._in_flight == {}
    assert valkey.zcard(keys_of("tag:ended")[1]) == 0


def test_a_dead_workers_places_free_themselves(gateway, valkey, key, model):
    tag = make_limited(max_parallel_requests=1)
    now = valkey.time()[0]
    valkey.zadd(parallel_of(tag), {"a dead worker's call": now + 20})
    assert is_refused(gateway.chat(model, key=key, tags=[tag]), PARALLEL)

    valkey.zadd(parallel_of(tag), {"a dead worker's call": now - 1})

    assert gateway.chat(model, key=key, tags=[tag]).status == 200


def test_a_long_call_keeps_its_place(
    shared_gateway, valkey, open_gateway, upstream, books, key, model, monkeypatch
):
    monkeypatch.setattr(throttling, "RENEW_SECONDS", 0.02)
    gateway = open_gateway(upstream)
    tag = make_limited(max_parallel_requests=1)
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    call = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()
    (member,) = valkey.zrange(parallel_of(tag), 0, -1)
    almost_over = valkey.time()[0] + 10
    valkey.zadd(parallel_of(tag), {member: almost_over})

    deadline = time.monotonic() + 10
    while valkey.zscore(parallel_of(tag), member) == almost_over:
        assert time.monotonic() < deadline, "it was not renewed"
        time.sleep(0.01)

    assert valkey.zscore(parallel_of(tag), member) > almost_over
    assert list(map(str, gateway.worker.throttle._in_flight)) == [member]
    gate.open()
    call.answer()
    gateway.rest()


# -- workers and batches -------------------------------------------------------------------------


def test_workers_share_their_counts(gateway, other, upstream, key, model):
    requests, tokens = make_limited(rpm_limit=2), make_limited(tpm_limit=30)
    parallel = make_limited(max_parallel_requests=1)

    by_turns = [worker.chat(model, key=key, tags=[requests]) for worker in (gateway, other) * 2]
    gateway.chat(model, key=key, tags=[tokens])
    settle(gateway)
    beyond = other.chat(model, key=key, tags=[tokens])
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    running = gateway.start_chat(model, key=key, tags=[parallel])
    gate.wait_until_reached()
    beside = other.chat(model, key=key, tags=[parallel])
    gate.open()

    assert running.answer().status == 200
    assert [answer.status for answer in by_turns] == [200, 200, 429, 429]
    assert is_refused(beyond, "tokens")
    assert is_refused(beside, PARALLEL)


def admit(limits):
    return Act("admit", uuid4(), limits)


def test_calls_that_come_together_share_a_round_trip(gateway):
    counters = counters_of(gateway)
    shared = RateLimits("tag:shared", "tag: shared", 5, None, None)
    own = [RateLimits(f"key:{n}", f"key: {n}", None, 10, None) for n in range(20)]

    async def ask_together():
        return await asyncio.gather(*(counters.ask(admit((shared, one))) for one in own))

    verdicts = gateway.thread.run(ask_together())

    assert [verdict.refusing for verdict in verdicts] == [None] * 5 + [shared] * 15
    assert [verdict.counts[0][0] for verdict in verdicts] == [1, 2, 3, 4, 5] + [5] * 15
    assert (counters.acts.batches, counters.acts.items) == (1, 20)


def test_limits_hold_whoever_calls_at_once(gateway, other, upstream, key, model):
    tag = make_limited(rpm_limit=7)

    calls = [
        worker.start_chat(model, key=key, tags=[tag])
        for _ in range(10)
        for worker in (gateway, other)
    ]
    statuses = [call.answer().status for call in calls]

    assert (statuses.count(200), statuses.count(429)) == (7, 13)
    assert len(upstream.asked) == 7


def test_every_key_has_an_end(gateway, valkey, upstream, model):
    key = make_key(columns={"rpm_limit": 5, "tpm_limit": 500, PARALLEL: 5})
    tag = make_limited(rpm_limit=5, tpm_limit=500, max_parallel_requests=5)
    gate = Gate()
    gateway.chat(model, key=key, tags=[tag])
    settle(gateway)
    upstream.reply(replace(plain(), before=[gate]))
    running = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    lives = {name: valkey.ttl(name) for name in valkey.scan_iter()}

    gate.open()
    running.answer()
    assert set(lives) == {*keys_of(f"tag:{tag.id}"), *keys_of(f"key:{key.id}")}
    assert all(0 < seconds <= 120 for seconds in lives.values()), lives


# -- when there is no Redis, or none that can be believed ----------------------------------------


@pytest.fixture
def silent_server(tmp_path, settings):
    """It listens, and never says a word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "silent.sock"))
        listening.listen(50)
        listening.setblocking(False)
        settings.REDIS_URL = f"unix://{tmp_path}/silent.sock?db=0"
        yield listening


def test_who_has_no_rate_limit_does_not_touch_redis(
    shared_gateway, silent_server, open_gateway, upstream, books, key, model
):
    gateway = open_gateway(upstream)

    answer = gateway.chat(model, key=key, tags=[make_tag(), "unregistered"])

    gateway.rest()
    assert (answer.status, rate_headers(answer)) == (200, [])
    with pytest.raises(BlockingIOError):
        silent_server.accept()
    assert counters_of(gateway).acts.items == 0
    assert gateway.worker.throttle.failed_open == 0


def test_calls_pass_when_redis_is_down(
    shared_gateway, tmp_path, settings, open_gateway, upstream, books, key, model
):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    gateway = open_gateway(upstream)
    tag = make_limited(rpm_limit=1, tpm_limit=1, max_parallel_requests=1)

    answers = [gateway.chat(model, key=key, tags=[tag]) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5
    assert not any(rate_headers(answer) for answer in answers)
    assert gateway.worker.throttle.failed_open == 5
    gateway.rest()
    assert books.spent(tag) == 5 * 210_000
    assert gateway.worker.throttle._in_flight == {}


def test_budgets_hold_when_redis_is_down(
    shared_gateway, tmp_path, settings, open_gateway, upstream, books, key, model
):
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    gateway = open_gateway(upstream)

    refused = gateway.chat(model, key=key, tags=[make_tag(limit="0", columns={"rpm_limit": 1})])

    assert (refused.status, refused.error["type"]) == (400, "budget_exceeded")


def test_nobody_waits_long_for_a_silent_redis(
    shared_gateway, silent_server, open_gateway, monkeypatch
):
    monkeypatch.setattr(rate_counters, "ANSWER_SECONDS_MAX", 0.02)
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 60.0)
    counters = counters_of(open_gateway())
    limits = (RateLimits("tag:1", "tag: x", 1, None, None),)

    async def ask_often():
        waits = []
        for _ in range(10):
            started = time.perf_counter()
            assert await counters.ask(admit(limits)) is None
            waits.append(time.perf_counter() - started)
        return waits

    waits = shared_gateway[0].thread.run(ask_often())

    assert counters.failed_open == 10
    assert counters._breaker._failures == breaker.FAILURES_MAX  # then nobody asks any more
    assert sorted(waits)[5] < 0.01  # those who find it open wait for nothing
    assert max(waits) < 1.0


def test_the_limits_are_back_when_redis_is(
    shared_gateway,
    valkey,
    tmp_path,
    settings,
    open_gateway,
    upstream,
    books,
    key,
    model,
    monkeypatch,
):
    if not settings.REDIS_URL.startswith("unix://"):
        pytest.skip("only a unix socket can be put in place by a link")
    monkeypatch.setattr(breaker, "OPEN_SECONDS", 0.2)
    path, _, query = settings.REDIS_URL.removeprefix("unix://").partition("?")
    settings.REDIS_URL = f"unix://{tmp_path}/link.sock?{query}"
    gateway = open_gateway(upstream)
    tag = make_limited(rpm_limit=1)
    for _ in range(5):
        assert gateway.chat(model, key=key, tags=[tag]).status == 200

    (tmp_path / "link.sock").symlink_to(path)

    time.sleep(0.3)
    answers = [gateway.chat(model, key=key, tags=[tag]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert gateway.worker.throttle.failed_open == 5


def test_lost_counts_begin_at_zero(gateway, valkey, upstream, key, model):
    tag = make_limited(rpm_limit=1, max_parallel_requests=2)
    gate = Gate()
    upstream.reply(replace(plain(), before=[gate]))
    running = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    valkey.flushdb()
    gate.open()

    assert running.answer().status == 200
    settle(gateway)
    assert [gateway.chat(model, key=key, tags=[tag]).status for _ in range(2)] == [200, 429]
    assert gateway.worker.throttle.failed_open == 0


def test_a_forgotten_script_is_told_again(gateway, valkey, key, model):
    tag = make_limited(rpm_limit=2)
    gateway.chat(model, key=key, tags=[tag])

    valkey.script_flush()

    assert [gateway.chat(model, key=key, tags=[tag]).status for _ in range(2)] == [200, 429]
    assert gateway.worker.throttle.failed_open == 0


def test_a_lost_connection_costs_one_look_at_most(gateway, valkey, key, model):
    tag = make_limited(rpm_limit=2)
    gateway.chat(model, key=key, tags=[tag])

    async def lose():
        connection = counters_of(gateway)._line._connecting.result()
        connection._writer.transport.abort()

    gateway.thread.run(lose())

    statuses = [gateway.chat(model, key=key, tags=[tag]).status for _ in range(3)]
    assert statuses[-1] == 429
    assert gateway.worker.throttle.failed_open <= 1


def spoil_type(valkey, tag):
    valkey.set(minute_of(tag), "garbage")
    valkey.set(parallel_of(tag), "garbage")


def spoil_values(valkey, tag):
    minute = valkey.time()[0] // 60
    valkey.hset(minute_of(tag), mapping={"minute": minute, "requests": "many", "tokens": "[]"})


@pytest.mark.parametrize("spoil", [spoil_type, spoil_values])
def test_garbage_counts_as_nothing(spoil, gateway, valkey, key, model):
    tag = make_limited(rpm_limit=1, tpm_limit=500, max_parallel_requests=1)
    spoil(valkey, tag)

    answers = []
    for _ in range(2):
        answers.append(gateway.chat(model, key=key, tags=[tag]))
        settle(gateway)

    assert [answer.status for answer in answers] == [200, 429]
    assert gateway.worker.throttle.failed_open == 0


def test_an_error_of_the_server_lets_calls_pass(gateway, valkey, key, model):
    """As of one whose memory is full: what it says of that is an error like any other."""
    tag = make_limited(rpm_limit=1)
    counters = counters_of(gateway)
    counters._line._script = "return redis.error_reply('OOM command not allowed')"
    counters._line._digest = "0" * 40

    assert [gateway.chat(model, key=key, tags=[tag]).status for _ in range(2)] == [200, 200]
    assert gateway.worker.throttle.failed_open == 2


def test_rate_limits_come_before_budgets(gateway, key, model):
    tag = make_tag(limit="0", columns={"rpm_limit": 1})
    first = gateway.chat(model, key=key, tags=[tag])
    second = gateway.chat(model, key=key, tags=[tag])

    assert (first.status, first.error["type"]) == (400, "budget_exceeded")
    assert (second.status, second.error["type"]) == (429, "rate_limit_error")


def test_a_large_limit_is_counted(gateway):
    counters = counters_of(gateway)
    limits = (RateLimits("tag:large", "tag: large", 2**63 - 1, 2**63 - 1, 2**31 - 1),)
    used = 10**15 + 1

    async def use():
        await counters.ask(admit(limits))
        counters.tell(Act("count", uuid4(), limits, used))
        return await counters.ask(admit(limits))

    verdict = gateway.thread.run(use())

    assert verdict.refusing is None
    assert math.isclose(verdict.counts[0][1], used, rel_tol=1e-9)
    assert verdict.counts[0][0] == 2
