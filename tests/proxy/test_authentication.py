"""Authentication: which header counts, and what a key that cannot be used is told."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils.timezone import now

from proxy import gateway as gateway_file
from proxy import permissions
from proxy import strangers as strangers_file
from proxy.credentials import new_secret, refusal_of_unknown
from proxy.models import APIKey
from proxy.strangers import Strangers
from tests.conftest import client_of
from tests.factories import make_key
from tests.proxy.driver import chat

UNKNOWN = "This API key is not valid."
MISSING = "No API key was presented. Send it as 'Authorization: Bearer <key>'."


def call(gateway, model, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.call("POST", "/v1/chat/completions", body=chat(model), headers=named)


def refused(answer, type_, message):
    return (
        answer.status == 401
        and answer.headers["www-authenticate"] == "Bearer"
        and answer.error == {"message": message, "type": type_, "param": None, "code": "401"}
    )


FORMS = [
    ("authorization", "Bearer {}"),
    ("authorization", "bearer {}"),
    ("authorization", "BEARER   {}  "),
    ("authorization", "{}"),
    ("x-litellm-api-key", "{}"),
    ("x-litellm-api-key", "Bearer {}"),
    ("api-key", "{}"),
    ("x-api-key", "{}"),
]


@pytest.mark.parametrize(("header", "form"), FORMS)
def test_it_works(gateway, books, key, model, header, form):
    answer = call(gateway, model, **{header: form.format(key.secret)})

    assert answer.status == 200
    row = books.row(answer.id)
    assert (row.key_id, row.key_alias) == (key.id, key.alias)
    assert bytes(row.key_digest).hex() == key.digest


def test_the_first_header_counts_even_if_it_is_wrong(gateway, key, model):
    answer = call(
        gateway, model, x_litellm_api_key="sk-wrong", authorization=f"Bearer {key.secret}"
    )

    assert refused(answer, "auth_error", UNKNOWN)


def test_an_empty_header_does_not_count(gateway, key, model):
    answer = call(gateway, model, x_litellm_api_key=" ", authorization=f"Bearer {key.secret}")

    assert answer.status == 200


@pytest.mark.parametrize(
    "presented",
    [
        "sk-nobody",
        "Basic dXNlcjpwYXNz",
        "Bearer sk-" + "a" * 43,
        "Bearer " + "x" * 513,
        "Bearer ' or 1=1 --",
        "Bearer schl\u00fcssel",
    ],
)
def test_what_is_no_key_of_ours_gets_one_text(gateway, upstream, model, presented):
    answer = call(gateway, model, authorization=presented)

    assert refused(answer, "auth_error", UNKNOWN)
    assert upstream.asked == []


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"authorization": "Bearer"}])
def test_no_key_is_told_how_to_send_one(gateway, model, headers):
    assert refused(call(gateway, model, **headers), "auth_error", MISSING)


def test_a_key_is_not_taken_from_elsewhere(gateway, key, model):
    answer = gateway.call(
        "POST",
        f"/v1/chat/completions?api_key={key.secret}",
        body=chat(model),
        headers={"cookie": f"api-key={key.secret}", "x_api_key": key.secret},
    )

    assert refused(answer, "auth_error", MISSING)


def test_the_master_key_draws_on_no_key_budget(gateway, books, model):
    answer = call(gateway, model, authorization=f"Bearer {django_settings.MASTER_KEY}")

    row = books.row(answer.id)
    assert (row.key_alias, row.key_digest, row.windows) == ("master", None, [])


def test_without_a_master_key_nobody_has_it(gateway, model, settings):
    settings.MASTER_KEY = ""

    assert refused(call(gateway, model, authorization="Bearer "), "auth_error", MISSING)


def test_an_expired_key_is_told_so(gateway, model):
    key = make_key(columns={"expires_at": now() - timedelta(seconds=1)})

    answer = gateway.chat(model, key=key)

    assert refused(answer, "expired_key", "This API key has expired.")


def test_a_blocked_key_is_told_so(gateway, model):
    key = make_key(columns={"blocked": True})

    answer = gateway.chat(model, key=key)

    assert refused(answer, "key_blocked", "This API key is blocked.")


def test_a_key_that_is_blocked_stops_at_once(gateway, key, model):
    assert gateway.chat(model, key=key).status == 200
    APIKey.objects.filter(id=key.id).update(blocked=True)

    assert refused(gateway.chat(model, key=key), "key_blocked", "This API key is blocked.")


def test_a_deleted_key_is_unknown(gateway, key, model):
    assert gateway.chat(model, key=key).status == 200
    APIKey.objects.filter(id=key.id).update(deleted_at=now())

    assert refused(gateway.chat(model, key=key), "auth_error", UNKNOWN)


def test_a_key_that_was_unknown_works_as_soon_as_it_is_made(gateway, model):
    secret = "sk-made-by-hand-and-soon-to-be-known"
    assert gateway.chat(model, key=secret).status == 401
    make_key(secret=secret)

    assert gateway.chat(model, key=secret).status == 200


# -- strangers -----------------------------------------------------------------------------------


@pytest.fixture
def strangers(monkeypatch, settings):
    settings.UNKNOWN_KEYS_PER_MINUTE = 2
    found = Strangers()
    monkeypatch.setattr(gateway_file, "STRANGERS", found)
    monkeypatch.setattr(permissions, "STRANGERS", found)
    return found


def knock(gateway, *, address="10.0.0.1", key=None, **headers):
    return gateway.call(
        "GET", "/v1/models", key=key or new_secret(), address=address, headers=headers
    )


def test_who_tries_many_keys_is_told_to_wait(gateway, strangers, key):
    answers = [knock(gateway) for _ in range(4)]

    assert [answer.status for answer in answers] == [401, 401, 429, 429]
    told = answers[2]
    assert (told.error["type"], told.error["param"]) == ("rate_limit_error", None)
    assert 1 <= int(told.headers["retry-after"]) <= 60
    assert knock(gateway, key=key).status == 200  # a known key passes
    assert knock(gateway, address="10.0.0.2").status == 401


def test_a_forged_address_helps_nobody(gateway, strangers, settings):
    settings.TRUSTED_PROXIES = ["10.0.0.9"]

    forged = [knock(gateway, **{"x-forwarded-for": f"1.1.1.{n}"}).status for n in range(3)]
    proxied = [
        knock(gateway, address="10.0.0.9", **{"x-forwarded-for": f"2.2.2.{n}"}).status
        for n in range(3)
    ]

    assert forged == [401, 401, 429]
    assert proxied == [401, 401, 401]


def test_management_paths_count_them_too(gateway, strangers):
    for _ in range(2):
        knock(gateway, address="127.0.0.1")

    answer = client_of(new_secret()).get("/tag/list")

    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rate_limit_error")
    assert answer["Retry-After"]


def test_the_minute_ends_and_the_number_of_addresses_has_a_bound(monkeypatch, settings):
    settings.UNKNOWN_KEYS_PER_MINUTE = 1
    monkeypatch.setattr(strangers_file, "ADDRESSES_MAX", 2)
    clock = iter([0, 1, 61, 62, 63, 64])
    monkeypatch.setattr(strangers_file.time, "monotonic", lambda: next(clock))
    strangers, refused = Strangers(), refusal_of_unknown()

    told = [strangers.refusal(refused, at).status for at in ("a", "a", "a", "b", "c", "a")]

    assert told == [401, 429, 401, 401, 401, 401]  # the last was forgotten for the third address
