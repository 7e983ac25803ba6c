"""Metrics: what a call leaves in them, who may read them, and how workers add up."""

import os

import pytest

from proxy.counters import MODELS_MAX, Counters
from proxy.credentials import new_secret
from proxy.tallies import Tallies
from tests.conftest import client_of
from tests.factories import make_key, make_tag

DEAD = "999999999-1"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    return Tallies(tmp_path / "metrics")


def test_it_says_of_a_call_what_the_ledger_says(gateway, upstream, books, key, model, monkeypatch):
    monkeypatch.setattr("proxy.counters.MODELS_MAX", 10**6)  # other tests have named many
    before = dict(gateway.worker.counters.counts)

    answer = gateway.chat(model, key=key, tags=["secret-project"])

    gateway.rest()
    counts = gateway.worker.counters.counts
    grown = {series: count - before.get(series, 0) for series, count in counts.items()}
    row = books.row(answer.id)
    assert grown["requests", "chat/completions", "200"] == 1
    assert grown["admission", "standard", "admitted", ""] == 1
    assert grown["cost_nanodollars", row.model, "upstream"] == row.cost == 210_000
    assert grown["tokens", row.model, "output"] == row.completion_tokens == 18
    assert grown["upstream_count",] == 1
    assert "secret-project" not in str(counts)
    assert key.alias not in str(counts)


def test_it_says_why_calls_were_turned_away(gateway, upstream, key, model):
    tag = make_tag(limit="0")
    series = ("admission", "standard", "refused", "budget_exceeded")
    before = gateway.worker.counters.counts.get(series, 0)

    gateway.chat(model, key=key, tags=[tag])

    assert gateway.worker.counters.counts[series] == before + 1


@pytest.mark.django_db
def test_it_adds_up_the_workers_the_dead_included(client, folder):
    for name in (f"{os.getpid()}-1", f"{os.getpid()}-2", DEAD):
        folder.write(name, {("requests", "embeddings", "200"): 2, ("settle_queue",): 1})
    folder.bury_dead()

    text = client.get("/metrics").content.decode()

    assert 'tollgate_requests_total{endpoint="embeddings",status="200"} 6\n' in text
    assert "tollgate_settle_queue 2\n" in text
    assert "tollgate_budget_failopen_total 0\n" in text
    assert not (folder.folder / f"{DEAD}.json").exists()


@pytest.mark.django_db
def test_it_is_for_the_master_key_and_loopback(client, settings):
    secret = new_secret()
    make_key(secret=secret)
    afar = {"REMOTE_ADDR": "203.0.113.9"}

    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", **afar).status_code == 401
    assert client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"}).status_code == 401
    assert client_of(secret).get("/metrics").status_code == 403
    assert client_of(settings.MASTER_KEY).get("/metrics", **afar).status_code == 200
    settings.METRICS_PUBLIC = True
    assert client.get("/metrics", **afar).status_code == 200


def test_it_folds_models_beyond_its_bound():
    counters = Counters()

    names = [counters._bounded(f"m-{number}") for number in range(MODELS_MAX + 1)]

    assert names[-2:] == [f"m-{MODELS_MAX - 1}", "other"]
    assert counters._bounded("m-0") == "m-0"
