"""POST /chat/completions, plain: the journey of a call and the row that it leaves."""

import pytest

from spend.errors import BudgetUnavailable, Busy
from spend.models import Reservation, SpendLog
from tests.factories import dollars, make_key, make_tag
from tests.fakes import Gate, Reply, plain


def gated(gate):
    return Reply(200, {"content-type": "application/json"}, plain().steps, before=[gate])


def test_it_works(gateway, upstream, books, key, model):
    tag = make_tag(limit="500", duration="30d")

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hello! How can I help you today?"
    assert upstream.last.body["messages"] == [{"role": "user", "content": "Hello"}]
    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage_source) == ("success", 210_000, "upstream")
    assert (books.spent(tag), books.reserved(tag)) == (210_000, 0)


def test_its_row_says_all_that_is_known(gateway, upstream, books, key, model):
    tag = make_tag()

    answer = gateway.chat(model, key=key, tags=[tag], headers={"user-agent": "OpenAI/Python"})

    row = books.row(answer.id)
    assert (row.endpoint, row.stream, row.http_status) == ("chat/completions", False, 200)
    assert (row.key_id, row.key_alias, row.user_agent) == (key.id, key.alias, "OpenAI/Python")
    assert (row.model, row.deployment_id, row.provider) == (model.model_name, model.id, "openai")
    assert (row.prompt_tokens, row.completion_tokens) == (12, 18)
    assert row.usage == {"input": 12, "output": 18}
    assert row.windows == [books.window(tag).id, books.window(key).id]
    assert row.at <= row.ended_at
    assert (row.error, row.flags, row.corrects) == (None, [], None)


def test_money_is_held_before_anything_is_sent(gateway, upstream, books, key, model):
    tag, gate = make_tag(limit="500"), Gate()
    upstream.reply(gated(gate))
    call = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    reservation = Reservation.objects.get(windows__contains=[books.window(tag).id])
    held = books.reserved(tag)
    gate.open()
    answer = call.answer()

    assert held == reservation.holds[0] == reservation.estimate > 0
    assert str(reservation.id) == answer.id
    assert reservation.intent["end_user"] is None
    gateway.rest()
    assert (books.reserved(tag), books.spent(tag)) == (0, 210_000)


def test_what_is_held_counts_against_a_strict_limit(gateway, upstream, books, key, model):
    tag, gate = make_tag(limit="0.2", mode="strict"), Gate()
    upstream.reply(gated(gate))
    first = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    second = gateway.chat(model, key=key, tags=[tag])

    assert (second.status, second.error["type"]) == (400, "budget_exceeded")
    assert "In flight: 0.16" in second.error["message"]
    gate.open()
    assert first.answer().status == 200
    gateway.rest()
    upstream.reply(plain())
    assert gateway.chat(model, key=key, tags=[tag]).status == 200  # the unused part came back


def test_a_standard_budget_serves_while_anything_is_left(gateway, books, key, model):
    tag = make_tag(limit="0.000000001")

    first = gateway.chat(model, key=key, tags=[tag])
    gateway.rest()
    second = gateway.chat(model, key=key, tags=[tag])

    assert (first.status, second.status) == (200, 400)
    assert books.spent(tag) == 210_000


def test_every_budget_must_have_room(gateway, books, model):
    key = make_key(limit="1")
    tag = make_tag(limit="10", further=[{"limit": "0.0001", "duration": "daily"}])

    first = gateway.chat(model, key=key, tags=[tag])
    gateway.rest()
    second = gateway.chat(model, key=key, tags=[tag])

    assert (first.status, second.status) == (200, 400)
    assert second.json()["budget"]["duration"] == "daily"
    assert second.json()["budget"]["limit"] == 0.0001
    assert books.spent(tag) == books.spent(key) == 210_000


@pytest.mark.parametrize("error", [BudgetUnavailable("down"), Busy("full")])
def test_money_that_cannot_be_checked_is_not_spent(
    gateway, upstream, books, key, model, monkeypatch, error
):
    async def fail(*anything, **more):
        raise error

    monkeypatch.setattr(type(gateway.worker.ledger), "reserve", fail)

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (503, "budget_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert upstream.asked == []
    assert not books.has_trace(answer.id)


def test_a_ledger_that_was_never_reached_is_503(gateway, upstream, key, model, monkeypatch):
    monkeypatch.setattr(gateway.worker, "_ledger", None)

    answer = gateway.chat(model, key=key)
    monkeypatch.undo()

    assert (answer.status, answer.error["type"]) == (503, "budget_unavailable")
    assert upstream.asked == []


def test_a_hundred_calls_at_once_are_a_hundred_rows(gateway, upstream, books, key, model):
    tag = make_tag(limit="100", mode="strict")
    gateway.chat(model, key=key, tags=[tag])
    gateway.hears = False

    calls = [gateway.start_chat(model, key=key, tags=[tag]) for _ in range(99)]

    assert {call.answer().status for call in calls} == {200}
    rows = books.rows_once(tag, 100)
    assert sum(row.cost for row in rows) == 100 * 210_000
    gateway.rest()
    assert books.spent(tag) == 100 * 210_000 == dollars("0.021")
    assert SpendLog.objects.filter(key_id=key.id).count() == 100
