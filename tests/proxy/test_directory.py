"""The directory: cards are kept while changes are heard of, and forgotten when rows change."""

import asyncio
import threading
import time

from django.db import OperationalError, connection

from proxy import directory as directory_module
from proxy.directory import Directory, Shelf
from proxy.models import APIKey
from tags.actions import change_tag, delete_tag
from tags.changes import Changes
from tests.factories import make_tag, unique


def answers_within(gateway, seconds_max, wanted, call):
    """Without waiting for the notification: until the answer is as wanted."""
    gateway.hears = False
    deadline = time.monotonic() + seconds_max
    while call().status != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_cards_are_read_once(gateway, key, model, monkeypatch):
    tag = make_tag()
    gateway.chat(model, key=key, tags=[tag])
    read, load = [], gateway.worker.directory._load
    monkeypatch.setattr(
        gateway.worker.directory,
        "_load",
        lambda kind, *place: read.append(kind) or load(kind, *place),
    )

    for _ in range(5):
        assert gateway.chat(model, key=key, tags=[tag]).status == 200

    assert set(read) <= {"sweep"}


def test_a_blocked_key_stops_within_a_second(gateway, key, model):
    assert gateway.chat(model, key=key).status == 200

    APIKey.objects.filter(id=key.id).update(blocked=True)

    answers_within(gateway, 1, 401, lambda: gateway.chat(model, key=key))


def test_a_changed_tag_counts_within_a_second(gateway, key, model):
    tag = make_tag()
    assert gateway.chat(model, key=key, tags=[tag]).status == 200

    change_tag(tag.name, Changes(columns={"blocked": True}), actor="test")

    answers_within(gateway, 1, 403, lambda: gateway.chat(model, key=key, tags=[tag]))


def test_a_changed_limit_counts_with_the_next_call(gateway, key, model):
    """It is read from the locked row, never from a card."""
    gateway.hears = False
    tag = make_tag()
    assert gateway.chat(model, key=key, tags=[tag]).status == 200

    change_tag(tag.name, Changes(budget={"limit": 0}), actor="test")

    assert gateway.chat(model, key=key, tags=[tag]).status == 400


def test_a_standard_budget_made_strict_is_strict_with_the_next_call(gateway, upstream, key, model):
    gateway.hears = False
    tag = make_tag(limit="10")
    gateway.chat(model, key=key, tags=[tag])

    change_tag(tag.name, Changes(budget={"mode": "strict"}), actor="test")
    gateway.chat(model, key=key, tags=[tag])

    assert upstream.last.body["max_tokens"] == 16_384


def test_a_tag_that_was_unknown_counts_as_soon_as_it_is_made(gateway, books, key, model):
    name = unique("soon")
    gateway.chat(model, key=key, tags=[name])
    tag = make_tag(name, limit="1")

    answer = gateway.chat(model, key=key, tags=[name])

    books.row(answer.id)
    assert books.spent(tag) == 210_000


def test_a_deleted_tag_draws_no_more(gateway, books, key, model):
    tag = make_tag(limit="0")
    assert gateway.chat(model, key=key, tags=[tag]).status == 400
    delete_tag(tag.name, actor="test")

    assert gateway.chat(model, key=key, tags=[tag]).status == 200


def test_a_tag_that_is_made_anew_starts_at_nothing(gateway, books, key, model):
    tag = make_tag(limit="0.0002")
    gateway.chat(model, key=key, tags=[tag])
    gateway.rest()
    assert gateway.chat(model, key=key, tags=[tag]).status == 400
    delete_tag(tag.name, actor="test")
    again = make_tag(tag.name, limit="0.0002")

    assert gateway.chat(model, key=key, tags=[tag]).status == 200
    gateway.rest()
    assert books.spent(again) == 210_000


def test_unheard_cards_are_not_trusted(gateway, key, model, monkeypatch):
    """Behind a pooler, say, that swallows notifications: then each call reads its rows."""
    gateway.chat(model, key=key)
    monkeypatch.setattr(gateway.worker.directory, "_is_trusted", lambda: False)
    gateway.hears = False

    with connection.cursor() as cursor:
        cursor.execute("alter table proxy_apikey disable trigger user")
        APIKey.objects.filter(id=key.id).update(blocked=True)
        cursor.execute("alter table proxy_apikey enable trigger user")

    assert gateway.chat(model, key=key).status == 401


def test_a_lookup_that_fails_is_503_and_sends_nothing(
    gateway, upstream, books, key, model, monkeypatch
):
    def fail(*anything):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(directory_module, "load_key_card", fail)
    gateway.forget_cards()

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (503, "budget_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert upstream.asked == []


def test_a_connection_that_broke_is_replaced(gateway, books, key, model):
    gateway.chat(model, key=key)
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and application_name = 'tollgate'"
        )
    gateway.forget_cards()

    assert gateway.chat(model, key=key).status == 200


def test_a_lookup_that_hangs_is_given_up(gateway, key, model, monkeypatch):
    monkeypatch.setattr(directory_module, "LOAD_SECONDS_MAX", 0.05)
    let_go = threading.Event()
    load = directory_module.load_key_card
    monkeypatch.setattr(
        directory_module, "load_key_card", lambda digest: let_go.wait(5) and load(digest)
    )
    gateway.forget_cards()

    answer = gateway.chat(model, key=key)

    let_go.set()
    assert (answer.status, answer.error["type"]) == (503, "budget_unavailable")


def test_a_reading_from_before_a_change_serves_nobody_who_comes_after_it(monkeypatch):
    readings = {"old": threading.Event(), "new": threading.Event()}
    names, began = iter(readings), threading.Event()

    def load(name):
        found = next(names)
        began.set()
        assert readings[found].wait(5)
        return found

    async def ask():
        directory = Directory(is_trusted=lambda: True)
        early = asyncio.create_task(directory.tag("a"))
        await asyncio.to_thread(began.wait, 5)
        directory.forget_all()  # the row was changed while it was being read
        late = asyncio.create_task(directory.tag("a"))
        await asyncio.sleep(0)
        readings["new"].set()
        readings["old"].set()
        found = (await early, await late, await directory.tag("a"))
        await directory.close()
        return found

    monkeypatch.setattr(directory_module, "load_tag_card", load)

    assert asyncio.run(ask()) == ("old", "new", "new")


# -- the shelf -----------------------------------------------------------------------------------


def test_a_shelf_forgets_what_was_not_used_for_longest():
    shelf = Shelf(2)
    for name in ("a", "b"):
        shelf.keep(name, name.upper(), generation=0)
    shelf.find("a")

    shelf.keep("c", "C", generation=0)

    assert [shelf.find(name) for name in "abc"] == ["A", None, "C"]


def test_a_shelf_keeps_no_card_that_was_read_before_a_change():
    shelf = Shelf(2)
    generation = shelf.generation

    shelf.forget(lambda card: False)
    shelf.keep("a", "A", generation=generation)

    assert shelf.find("a") is None


def test_junk_keys_evict_no_good_card(gateway, key, model, monkeypatch):
    monkeypatch.setattr(directory_module, "UNKNOWN_KEYS_MAX", 5)
    assert gateway.chat(model, key=key).status == 200
    for n in range(30):
        assert gateway.chat(model, key=f"sk-junk-{n}").status == 401

    assert gateway.worker.directory._keys.find(key.digest) is not None
