"""Workers hear of each change that a card of theirs shows, by table and id, and of nothing else."""

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from proxy.actions import create_key
from tags.changes import Changes
from tests.conftest import client_of
from tests.factories import make_pot, make_tag, unique


@pytest.fixture
def heard(books):
    """What workers were told since it was last asked."""
    parameters = connection.get_connection_params()
    conninfo = {k: parameters[k] for k in ("dbname", "host", "port", "user") if k in parameters}
    with psycopg.connect(**conninfo, autocommit=True) as listening:
        listening.execute("listen tollgate_cards")

        def told():
            payloads = {notice.payload for notice in listening.notifies(timeout=0.2)}
            return {payload for payload in payloads if payload != "beat:"}

        yield told


def post(path, **body):
    response = client_of(settings.MASTER_KEY).post(path, body)
    assert response.status_code == 200, response.content
    return response.json()


def test_it_tells_of_a_tag(heard):
    name = unique("heard")
    post("/tag/new", name=name)
    (told,) = heard()
    assert told.startswith("tags_tag:")

    post("/tag/update", name=name)
    assert heard() == set()
    post("/tag/update", name=name, soft_budget=1)
    assert heard() == {told}
    post("/tag/update", name=name, blocked=True)
    assert heard() == {told}
    post("/tag/delete", name=name)
    assert heard() == {told}


def test_it_tells_of_a_key(heard):
    key, _ = create_key(Changes(), actor="test")
    told = {f"proxy_apikey:{key.id}"}
    assert heard() == told

    for path in ("/key/block", "/key/unblock", "/key/regenerate"):
        post(path, key=str(key.id))
        assert heard() == told
    post("/key/update", key=str(key.id), allowed_tags=["a"])
    assert heard() == told
    post("/key/delete", keys=[str(key.id)])
    assert heard() == told


def test_it_tells_all_who_draw_on_a_pot(heard):
    pot = make_pot()
    tag = make_tag(pots=[pot])
    key, _ = create_key(Changes(pots=[pot.public_id]), actor="test")
    heard()

    post("/budget/update", budget_id=pot.public_id, soft_budget=1)

    assert heard() == {f"tags_tagdraw:{tag.id}", f"proxy_keydraw:{key.id}"}
    post("/budget/update", budget_id=pot.public_id, soft_budget=1)
    assert heard() == set()
