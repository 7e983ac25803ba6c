"""Cooldown: a deployment that failed several calls in a row is left alone, and tried again."""

import time
from uuid import uuid4

import pytest

from proxy import cooldown
from proxy.cooldown import Cooldowns
from tests.factories import make_model, unique
from tests.fakes import plain
from tests.proxy.test_retrying import refusal, silence


class Clock:
    at = 1000.0

    def __call__(self):
        return self.at


class Card:
    """As much of a deployment's card as counts here."""

    def __init__(self, **terms):
        self.id, self.upstream_model, self.model_name = uuid4(), "gpt", "gpt"
        self.id_text, self.terms = str(self.id), terms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cooldowns(clock):
    return Cooldowns(clock)


@pytest.fixture
def lasting(settings):
    settings.COOLDOWN_SECONDS = 60.0


def fail(cooldowns, card, times=3):
    for _ in range(times):
        cooldowns.fail(card)


def test_it_works(cooldowns, clock):
    card, other = Card(), Card()

    fail(cooldowns, card)

    assert cooldowns.is_cooling(card)
    assert not cooldowns.may_send(card)
    assert not cooldowns.is_cooling(other)
    clock.at += 5
    assert not cooldowns.is_cooling(card)


def test_two_are_not_enough_nor_three_with_a_success_between(cooldowns):
    card = Card()

    fail(cooldowns, card, 2)
    assert not cooldowns.is_cooling(card)
    cooldowns.succeed(card)
    fail(cooldowns, card, 2)

    assert not cooldowns.is_cooling(card)


def test_nor_are_three_within_more_than_a_minute(cooldowns, clock):
    card = Card()
    fail(cooldowns, card, 2)
    clock.at += 60

    cooldowns.fail(card)

    assert not cooldowns.is_cooling(card)


def test_one_call_tries_whether_it_is_well(cooldowns, clock):
    card = Card()
    fail(cooldowns, card)
    clock.at += 5

    assert [cooldowns.may_send(card) for _ in range(3)] == [True, False, False]
    cooldowns.fail(card)
    clock.at += 4.9
    assert not cooldowns.may_send(card)
    clock.at += 0.1
    assert cooldowns.may_send(card)
    cooldowns.succeed(card)

    assert [cooldowns.may_send(card) for _ in range(3)] == [True, True, True]
    assert cooldowns.is_quiet


@pytest.mark.parametrize(("own", "seconds"), [(None, 5), (30, 30), (0, 0)])
def test_a_deployment_may_have_a_time_of_its_own(cooldowns, clock, own, seconds):
    card = Card(cooldown_time=own)
    fail(cooldowns, card)

    clock.at += seconds - 0.1
    assert cooldowns.is_cooling(card) == (seconds > 0)
    clock.at += 0.1
    assert not cooldowns.is_cooling(card)


def test_what_is_remembered_has_a_bound(cooldowns, clock, monkeypatch):
    monkeypatch.setattr(cooldown, "FAILING_MAX", 10)
    for _ in range(12):
        cooldowns.fail(Card())
    assert len(cooldowns._failing) == 10
    clock.at += 61
    cooldowns.fail(Card())

    assert len(cooldowns._failing) == 1


# -- in the gateway ------------------------------------------------------------------------------


def test_a_model_whose_deployments_all_cool_is_told_at_once(lasting, gateway, upstream, books, key):
    model = make_model(max_retries=0)
    upstream.reply(refusal(500))

    answers = [gateway.chat(model, key=key) for _ in range(4)]

    assert [answer.status for answer in answers] == [500, 500, 500, 503]
    assert (answers[3].error["type"], answers[3].error["param"]) == ("no_healthy_deployment", None)
    assert answers[3].headers["retry-after"] == "60"
    assert len(upstream.asked) == 3
    assert not books.has_trace(answers[3].id)


def test_a_call_counts_once_however_often_it_was_tried(lasting, gateway, upstream, key):
    model = make_model(max_retries=2)
    upstream.reply(refusal(500))

    answers = [gateway.chat(model, key=key) for _ in range(4)]

    assert [answer.status for answer in answers] == [500, 500, 500, 503]
    assert len(upstream.asked) == 7  # the third call is not tried again, as it cools by then


def test_others_serve_meanwhile_and_it_comes_back(lasting, gateway, upstream, key, settings):
    settings.COOLDOWN_SECONDS = 0.2
    name = unique("model")
    make_model(name, address="https://1.example/v1", order=1)
    make_model(name, address="https://2.example/v1", order=2)
    upstream.answers = lambda asked: refusal(500) if asked.url[8] == "1" else plain()

    served = [gateway.chat(name, key=key) for _ in range(4)]

    assert [answer.status for answer in served] == [200] * 4
    assert [asked.url[8] for asked in upstream.asked] == list("1212122")
    upstream.asked.clear()
    upstream.reply(plain())
    time.sleep(0.2)
    for _ in range(2):
        gateway.chat(name, key=key)
    assert [asked.url[8] for asked in upstream.asked] == ["1", "1"]


def test_a_fallback_serves_meanwhile(lasting, gateway, upstream, books, key):
    other = make_model()
    model = make_model(max_retries=0, terms={"fallbacks": [other.model_name]})
    upstream.answers = lambda asked: (
        refusal(500) if asked.body["model"] == model.model_name else plain()
    )
    for _ in range(3):
        assert gateway.chat(model, key=key).status == 200
    upstream.asked.clear()

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.headers["x-litellm-attempted-fallbacks"]) == (200, "1")
    assert [asked.body["model"] for asked in upstream.asked] == [other.model_name]
    row = books.row(answer.id)
    assert (row.model, row.deployment_id, len(row.attempts)) == (model.model_name, other.id, 1)


@pytest.mark.parametrize(
    "reply",
    [refusal(429), refusal(401), silence(), refusal(200)],
    ids=["429", "401", "silent", "200"],
)
def test_what_is_the_deployments_fault(lasting, gateway, upstream, key, reply):
    model = make_model(max_retries=0)
    upstream.answers = lambda asked: reply

    assert [gateway.chat(model, key=key).status for _ in range(4)][3] == 503


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_what_is_the_calls_own(lasting, gateway, upstream, key, status):
    model = make_model(max_retries=0)
    upstream.reply(refusal(status))

    assert [gateway.chat(model, key=key).status for _ in range(5)] == [status] * 5


def test_nor_does_a_clients_impatience_count(lasting, gateway, upstream, key):
    model = make_model(max_retries=0)
    upstream.answers = lambda asked: silence()

    statuses = [gateway.chat(model, key=key, timeout=0.01).status for _ in range(5)]

    assert statuses == [504] * 5


def test_one_asked_by_a_wildcard_cools_alone(lasting, gateway, upstream, key):
    prefix = unique("any")
    make_model(f"{prefix}/*", upstream_model="*", max_retries=0)
    upstream.answers = lambda asked: refusal(500) if asked.body["model"] == "bad" else plain()
    for _ in range(3):
        gateway.chat(f"{prefix}/bad", key=key)

    assert gateway.chat(f"{prefix}/bad", key=key).status == 503
    assert gateway.chat(f"{prefix}/good", key=key).status == 200


@pytest.mark.parametrize(("deployments", "status"), [(1, 503), (2, 200)])
def test_a_call_that_finds_it_cooling_when_its_turn_has_come_is_not_sent_there(
    lasting, gateway, upstream, books, key, monkeypatch, deployments, status
):
    """Between its choice and its turn others failed: it goes elsewhere, or is told so."""
    name = unique("model")
    models = [make_model(name, order=n, upstream_model=str(n)) for n in range(1, deployments + 1)]
    cooldowns, ledger_type = gateway.worker.cooldowns, type(gateway.worker.ledger)
    reserve = ledger_type.reserve

    async def reserve_late(*asked, **options):
        catalogue = await gateway.worker.directory.catalogue()
        fail(cooldowns, next(card for card in catalogue.cards if card.id == models[0].id))
        return await reserve(*asked, **options)

    monkeypatch.setattr(ledger_type, "reserve", reserve_late)

    answer = gateway.chat(name, key=key)

    assert answer.status == status
    assert [asked.body["model"] for asked in upstream.asked] == ["2"][: deployments - 1]
    row = books.row(answer.id)
    assert (row.status == "success", len(row.attempts)) == (deployments == 2, 1)
    assert row.deployment_id == models[-1].id
