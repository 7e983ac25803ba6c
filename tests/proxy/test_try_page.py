"""Try it: what a call would do is told without doing it; a real one presents the key."""

import io
import json
from datetime import timedelta

import pytest
import requests
from django.contrib.auth.models import Group, User

from proxy.credentials import digest_of
from proxy.key_cards import load_key_card
from proxy.models import APIKey, TrialSecret
from proxy.trial import open_trial, send_trial
from spend.models import Audit, BudgetWindow, Reservation, SpendLog
from spend.rollover import database_now
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_key, make_model, make_tag, unique
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Target": "tried"}


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def model():
    return make_model("gpt-4o", input="2.5", output="10")


def asked(whose, **changes):
    return {
        "key": str(whose.pk), "model": "gpt-4o", "tags": "team:a, env:b", "message": "Hello",
        "output": "100", "check": "1", **changes,
    }  # fmt: skip


def checked(root, key, **changes):
    return root.post("/try/", asked(key, **changes), headers=HTMX).context["checked"]


def test_it_needs_a_key_and_a_model(root):
    assert "Make a key first" in text_of(root.get("/try/"))


def test_it_says_what_a_call_would_cost_and_draw_on(root, model):
    make_tag("team:a", limit="5", duration="monthly")
    key = make_key("ci", tags=("default",))

    found = checked(root, key)

    assert found.refusal == ""
    assert list(found.tags) == [("team:a", "you"), ("env:b", "you"), ("default", "key default")]
    assert 0 < found.expected <= found.bound
    assert [(one.name, one.limit) for one in found.drawn] == [
        ("team:a, monthly", dollars("5")), ("key ci", None),
    ]  # fmt: skip
    assert not SpendLog.objects.exists()
    assert not Reservation.objects.exists()
    assert not TrialSecret.objects.exists()


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"allowed_tags": ["team:*"]}, "This key may not use the tag 'env:b'."),
        ({"required_tags": ["region:*"]}, "must carry a tag that fits 'region:*'"),
        ({"allowed_models": ["other"]}, "This key may not use the model 'gpt-4o'."),
    ],
)
def test_it_says_by_which_rule_it_would_be_refused(root, model, key, says):
    assert says in checked(root, make_key("ci", columns=key)).refusal


def test_it_says_which_budget_has_no_room_and_which_tag_is_blocked(root, model):
    tag = make_tag("team:a", limit="5")
    BudgetWindow.objects.filter(budget=tag.budget).update(spent=dollars("5"))
    key = make_key("ci")
    assert checked(root, key).refusal == "The budget of team:a has no room for it."

    make_tag("env:b", columns={"blocked": True})
    assert checked(root, key).refusal == "The tag 'env:b' is blocked."


@pytest.mark.parametrize(
    "changes", [{"message": ""}, {"output": "0"}, {"model": "none"}, {"key": "x"}, {"tags": "\x01"}]
)
def test_bad_input_is_told_and_sends_nothing(root, model, changes):
    key = make_key("ci")

    answer = root.post("/try/", asked(key, **changes, send="1"))

    assert answer.status_code == 422
    assert not TrialSecret.objects.exists()


def test_a_trial_presents_the_key_for_a_minute(model):
    key = make_key("ci", tags=("a",))

    secret = open_trial(key, actor="ana")

    card = load_key_card(digest_of(secret))
    assert (card.id, card.alias, card.default_tags) == (key.id, "ci", ("a",))
    assert card.expires_at - database_now() <= timedelta(seconds=60)
    assert Audit.objects.latest("id").action == "try"
    TrialSecret.objects.update(until=database_now() - timedelta(seconds=1))
    assert load_key_card(digest_of(secret)) is None
    open_trial(key, actor="ana")
    assert TrialSecret.objects.count() == 1  # the one that is over is gone
    APIKey.objects.update(deleted_at=database_now())
    assert load_key_card(digest_of(open_trial(key, actor="ana"))) is None


def test_whatever_the_network_does_is_told(settings, monkeypatch):
    settings.TOLLGATE_URL = "http://127.0.0.1:1"
    key = make_key("ci")

    answer = send_trial(key, {"model": "m"}, actor="ana")

    assert (answer.status, answer.is_good) == (None, False)
    assert "cannot be reached at 127.0.0.1:1" in answer.text

    def answered(*args, **kwargs):
        found = requests.Response()
        found.status_code, found.raw = 502, io.BytesIO(b"<html>")
        return found

    monkeypatch.setattr(requests, "post", answered)
    answer = send_trial(key, {"model": "m"}, actor="ana")
    assert (answer.status, answer.text) == (502, "")


def test_who_may_only_look_checks_and_sends_nothing(model):
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.groups.add(Group.objects.get(name="FinOps viewer"))
    viewer, key = client_of(user), make_key("ci")

    assert "Send: a real call" not in text_of(viewer.get("/try/"))
    assert viewer.post("/try/", asked(key)).status_code == 200
    assert viewer.post("/try/", asked(key, send="1")).status_code == 403
    assert not TrialSecret.objects.exists()


def test_it_offers_the_same_call_as_code(root, model):
    text = root.post("/try/", asked(make_key("ci"), message='It\'s "so"')).context

    assert json.dumps([{"role": "user", "content": 'It\'s "so"'}]) in text["python"]
    assert "'\"'\"'" in text["curl"]
