"""Who is calling: which header counts, the master key, virtual keys, and all who are neither."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from rest_framework.test import APIClient

from proxy.credentials import digest_of, is_master, new_secret, presented_key
from proxy.models import APIKey
from tests.conftest import client_of
from tests.factories import make_key


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": ""}, None),
        ({"authorization": "Bearer sk-a"}, "sk-a"),
        ({"authorization": "bearer   sk-a "}, "sk-a"),
        ({"authorization": "BEARER sk-a"}, "sk-a"),
        ({"authorization": "Bearer"}, ""),
        ({"authorization": "Basic c2s="}, "Basic c2s="),
        ({"authorization": "sk-a"}, "sk-a"),
        ({"x-litellm-api-key": "sk-a"}, "sk-a"),
        ({"x-litellm-api-key": "Bearer sk-a"}, "sk-a"),
        ({"api-key": "sk-a"}, "sk-a"),
        ({"x-api-key": "sk-a"}, "sk-a"),
        ({"x-litellm-api-key": "sk-1", "authorization": "Bearer sk-2"}, "sk-1"),
        ({"authorization": "Bearer sk-2", "api-key": "sk-3", "x-api-key": "sk-4"}, "sk-2"),
        ({"api-key": "sk-3", "x-api-key": "sk-4"}, "sk-3"),
        ({"x-litellm-api-key": " ", "x-api-key": "sk-4"}, "sk-4"),
        ({"authorization": "Basic x", "x-api-key": "sk-4"}, "Basic x"),
        ({"cookie": "key=sk-a"}, None),
    ],
)
def test_it_finds_the_key_that_is_presented(headers, key):
    assert presented_key(headers) == key


def test_it_makes_secrets_that_nobody_guesses():
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert all(len(secret) == 46 and secret.startswith("sk-") for secret in secrets)


def test_it_has_no_master_without_a_master_key(settings):
    settings.MASTER_KEY = ""

    assert not is_master(digest_of(""))
    assert not is_master(digest_of("sk-anything"))


def refusal(response):
    error = response.json()["error"]
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return response.status_code, error["type"]


@pytest.mark.django_db
def test_it_lets_the_master_key_in_by_any_header(settings):
    for headers in (
        {"authorization": f"bearer {settings.MASTER_KEY}"},
        {"x-litellm-api-key": settings.MASTER_KEY},
        {"api-key": settings.MASTER_KEY},
        {"x-api-key": settings.MASTER_KEY},
    ):
        assert APIClient().get("/key/list", headers=headers).status_code == 200


@pytest.mark.django_db
def test_it_never_looks_for_a_key_elsewhere(settings):
    key = settings.MASTER_KEY
    client = APIClient()
    client.cookies["authorization"] = f"Bearer {key}"

    assert refusal(client.get(f"/key/list?api_key={key}&key={key}")) == (401, "auth_error")
    assert refusal(client.post("/key/list", {"api_key": key}, format="json")) == (401, "auth_error")


@pytest.mark.django_db
def test_it_ignores_the_cookie_of_an_administrator():
    client = APIClient()
    client.force_login(User.objects.create_superuser("admin", password="a long password"))

    assert refusal(client.get("/key/list")) == (401, "auth_error")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "presented",
    ["sk-unknown", "", "' or 1=1 --", "\u00e9\u00ff", "sk-" + "a" * 10_000, "Basic x"],
)
def test_it_has_one_text_for_all_that_is_no_key(presented):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client_of("x").get("/key/list", headers={"authorization": f"Bearer {presented}"})

    assert refusal(response) == (401, "auth_error")
    assert response.json()["detail"] == "This API key is not valid."
    assert len(queries) <= 1


@pytest.mark.django_db
def test_it_refuses_a_virtual_key_on_management_paths():
    client = client_of(make_key().secret)

    for method, path in (
        ("get", "/tag/list"), ("post", "/tag/new"), ("post", "/tag/update"), ("post", "/tag/info"),
        ("post", "/tag/delete"), ("post", "/tag/adopt"), ("post", "/tag/reset_spend"),
        ("get", "/tag/summary"), ("get", "/tag/distinct"), ("post", "/key/generate"),
        ("post", "/key/update"), ("post", "/key/delete"), ("get", "/key/list"),
        ("post", "/key/regenerate"), ("post", "/key/block"), ("post", "/key/unblock"),
        ("post", "/key/x/regenerate"), ("post", "/key/x/reset_spend"), ("post", "/budget/new"),
        ("post", "/budget/update"), ("post", "/budget/info"), ("get", "/budget/list"),
        ("post", "/budget/delete"),
    ):  # fmt: skip
        for end in ("", "/"):
            assert refusal(getattr(client, method)(path + end)) == (403, "permission_denied")
    assert client.get("/key/info").status_code == 200


@pytest.mark.django_db
def test_it_refuses_keys_that_may_not_be_used():
    blocked = make_key(columns={"blocked": True})
    expired = make_key(columns={"expires_at": now() - timedelta(seconds=1)})
    deleted = make_key(columns={"deleted_at": now()})

    assert refusal(client_of(blocked.secret).get("/key/info")) == (401, "key_blocked")
    assert refusal(client_of(expired.secret).get("/key/info")) == (401, "expired_key")
    assert refusal(client_of(deleted.secret).get("/key/info")) == (401, "auth_error")


@pytest.mark.django_db
def test_it_takes_the_old_secret_until_its_grace_ends():
    key = make_key()
    old = new_secret()
    APIKey.objects.filter(pk=key.pk).update(
        previous_digest=digest_of(old), previous_until=now() + timedelta(minutes=1)
    )
    assert client_of(old).get("/key/info").status_code == 200

    APIKey.objects.filter(pk=key.pk).update(previous_until=now())

    assert refusal(client_of(old).get("/key/info")) == (401, "auth_error")
    assert client_of(key.secret).get("/key/info").status_code == 200
