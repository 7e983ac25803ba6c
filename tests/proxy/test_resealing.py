"""Resealing under traffic: calls find a provider's secret before, while and after it is sealed."""

from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet
from django.db import transaction

from proxy import vault
from proxy.models import Upstream
from tests.factories import make_model

SECRET = "sk-resealed-0123456789"


@pytest.fixture
def resealed(gateway, settings, monkeypatch):
    """A model, the old keys and the newest; the upstream is its own, and nobody else's changes."""
    model = make_model(secret=SECRET, address="https://resealed.example/v1")
    rows = Upstream.objects.filter(id=model.upstream_id)
    monkeypatch.setattr(vault, "Upstream", SimpleNamespace(objects=rows))
    old, newest = settings.VAULT_KEYS, Fernet.generate_key().decode()
    yield model, old, newest
    settings.VAULT_KEYS = [*old, newest]
    vault.reseal_secrets()
    gateway.forget_cards()


def test_it_serves_calls_while_and_after_a_secret_is_resealed(
    gateway, upstream, key, settings, resealed
):
    model, old, newest = resealed
    gateway.hears = False  # nothing is heard of a transaction that is still open

    def call() -> int:
        gateway.forget_cards()
        return gateway.chat(model, key=key).status

    settings.VAULT_KEYS = [newest, *old]
    statuses = [call()]
    with transaction.atomic():
        assert vault.reseal_secrets() == 1
        statuses.append(call())
    statuses.append(call())
    settings.VAULT_KEYS = [newest]
    statuses.append(call())

    assert statuses == [200, 200, 200, 200]
    sent = {asked.headers["authorization"] for asked in upstream.asked}
    assert (len(upstream.asked), sent) == (4, {f"Bearer {SECRET}"})

    settings.VAULT_KEYS = old  # a worker that was never told the newest key calls nobody
    assert (call(), len(upstream.asked)) == (502, 4)
