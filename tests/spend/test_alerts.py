"""Alerts: each threshold once per window, whoever looks; delivered, signed, tried again, masked."""

import hmac
import json
import re
from datetime import timedelta
from hashlib import sha256

import pytest
from django.core import mail

from spend.alert_words import body_of, headline
from spend.alerts import raise_alerts, raise_forecasts, raise_one
from spend.channels import DeliveryFailed, channels, signature
from spend.deliveries import LIFE, deliver_alerts, pause_after, send_again, send_test
from spend.models import Alert, AlertDelivery, BudgetWindow
from spend.rollover import database_now
from tests.factories import dollars, make_key, make_pot, make_tag
from tests.past import make_past_call
from tests.receiver import receiver
from tests.tags.test_tag_races import together

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SECRET = "a-secret-for-alerts"


def spend(tag, amount):
    BudgetWindow.objects.filter(budget=tag.budget, is_open=True).update(spent=dollars(amount))


def told():
    return [(alert.kind, alert.threshold) for alert in Alert.objects.order_by("id")]


@pytest.fixture
def hooked(settings):
    """A setting for each receiver."""
    settings.ALERT_SECRET = SECRET

    def hook(*urls):
        settings.ALERT_WEBHOOKS = list(urls)

    return hook


# -- what is raised --------------------------------------------------------------------------------


def test_each_threshold_the_soft_limit_and_the_end_are_told_once():
    tag = make_tag("team", limit="10", soft_limit="9", alert_thresholds=[50, 80, 100])
    for amount, new in (("4.99", 0), ("5", 1), ("5", 0), ("9.2", 2), ("10", 2), ("12", 0)):
        spend(tag, amount)
        assert raise_alerts() == new, amount

    assert sorted(told()) == [
        ("budget.exceeded", 0), ("budget.soft", 0), ("budget.threshold", 50),
        ("budget.threshold", 80), ("budget.threshold", 100),
    ]  # fmt: skip
    first = Alert.objects.order_by("id").first()
    assert first.facts | {"at": None} == {
        "tag": "team", "key_alias": None, "budget_id": tag.budget.public_id, "spent": 5.0,
        "reserved": 0.0, "limit": 10.0, "resets_at": None, "at": None, "threshold": 50,
    }  # fmt: skip
    assert headline(first) == "team has used 50% of its budget"


def test_the_next_window_tells_again():
    tag = make_tag(limit="10", duration="1d")
    spend(tag, "9")
    assert raise_alerts() == 1
    now = database_now()
    BudgetWindow.objects.update(starts_at=now - 2 * DAY, ends_at=now - DAY, is_open=False)
    BudgetWindow.objects.create(
        budget=tag.budget, starts_at=now - DAY, ends_at=now + DAY, mode="standard",
        limit=dollars("10"), spent=dollars("9"),
    )  # fmt: skip

    assert raise_alerts() == 1


def test_keys_and_pots_are_named():
    key, pot = make_key("ci", limit="1"), make_pot(limit="1", public_id="q4")
    BudgetWindow.objects.update(spent=dollars("0.9"))

    assert raise_alerts() == 2

    facts = {alert.facts["budget_id"]: alert.facts for alert in Alert.objects.all()}
    assert facts[key.budget.public_id]["key_alias"] == "ci"
    assert (facts["q4"]["tag"], facts["q4"]["key_alias"]) == (None, None)
    assert pot.public_id == "q4"


def test_what_has_no_limit_or_refuses_all_tells_nothing():
    make_tag(), make_tag(limit="0")
    BudgetWindow.objects.filter(limit=None).update(spent=dollars("5"))

    assert raise_alerts() == 0


def test_a_pace_above_the_limit_is_told_once():
    tag = make_tag("team", limit="100", duration="30d")
    now = database_now()
    BudgetWindow.objects.update(starts_at=now - 10 * DAY, ends_at=now + 20 * DAY)
    for day in range(10):
        make_past_call(tags=("team",), cost=dollars("5"), ago=day * DAY)
    spend(tag, "50")

    assert (raise_forecasts(), raise_forecasts()) == (1, 0)

    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.facts["forecast"] > 130) == ("budget.forecast", True)
    assert "forecast $1" in body_of(alert)


def test_a_broken_bound_and_a_refused_secret_are_told_by_call_and_by_hour():
    make_past_call(record={"flags": ("overrun",)}, cost=dollars("1"))
    for _ in range(2):
        make_past_call(status="failure", record={"error": {"type": "upstream_auth_error"}})

    assert (raise_alerts(), raise_alerts()) == (2, 0)
    assert sorted(kind for kind, _ in told()) == ["call.overrun", "upstream.auth_error"]


# -- how it is delivered ---------------------------------------------------------------------------


def test_a_webhook_gets_one_signed_body(hooked):
    with receiver() as server:
        hooked(server.url)
        tag = make_tag("team", limit="10", duration="monthly")
        spend(tag, "8")
        raise_alerts()
        assert (deliver_alerts(), deliver_alerts()) == (1, 0)

    ((headers, body),) = server.got
    sent = json.loads(body)
    assert (sent["event"], sent["tag"], sent["spent"], sent["limit"]) == (
        "budget.threshold", "team", 8.0, 10.0,
    )  # fmt: skip
    for moment in (sent["at"], sent["resets_at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)
    digest = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    assert headers["x-tollgate-signature"] == f"sha256={digest}" == signature(body)
    (delivery,) = AlertDelivery.objects.all()
    assert (delivery.state, delivery.attempts, delivery.answer) == (
        "delivered", 1, "answered 200",
    )  # fmt: skip
    assert "a-token-nobody-sees" not in delivery.channel


def test_what_fails_is_tried_again_and_given_up_after_a_day(hooked):
    with receiver(500, 302, 200) as server:
        hooked(server.url)
        raise_one("test", {"at": "x"}, subject="s")
        for answer in ("answered 500", "answered 302"):
            assert deliver_alerts() == 0
            delivery = AlertDelivery.objects.get()
            assert (delivery.state, delivery.answer) == ("waiting", answer)
            assert delivery.next_at > database_now()
            assert deliver_alerts() == 0  # not yet
            AlertDelivery.objects.update(next_at=database_now())
        assert deliver_alerts() == 1
    assert len({json.loads(body)["id"] for _, body in server.got}) == 1

    hooked("http://127.0.0.1:1/x")
    raise_one("test", {}, subject="late")
    Alert.objects.filter(subject="late").update(at=database_now() - LIFE - DAY)
    deliver_alerts()
    late = AlertDelivery.objects.get(alert__subject="late")
    assert (late.state, late.answer) == ("given_up", "no answer: ConnectionError")
    send_again(late.pk)
    assert AlertDelivery.objects.get(pk=late.pk).state == "waiting"


def test_a_dead_worker_leaves_a_delivery_that_is_sent_by_another(hooked, monkeypatch):
    with receiver() as server:
        hooked(server.url)
        raise_one("test", {}, subject="s")
        monkeypatch.setattr("spend.deliveries.deliver", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            deliver_alerts()
        monkeypatch.undo()
        hooked(server.url)
        assert deliver_alerts() == 0  # it is still claimed
        AlertDelivery.objects.update(next_at=database_now())
        assert deliver_alerts() == 1
    assert len(server.got) == 1


def test_what_is_on_its_way_is_not_sent_a_second_time(hooked, monkeypatch):
    hooked("https://hooks.example/x")
    sent = []

    def be_slow(*_):
        sent.append("once")
        (row,) = AlertDelivery.objects.filter(state="waiting")
        send_again(row.pk)
        assert deliver_alerts() == 0
        return "answered 200"

    monkeypatch.setattr("spend.deliveries.deliver", be_slow)
    assert [one.is_delivered for one in send_test("ana")] == [True]
    raise_one("test", {}, subject="s")
    assert deliver_alerts() == 1
    assert sent == ["once", "once"]


def test_mail_and_services_are_told_in_words(settings, monkeypatch):
    settings.ALERT_EMAILS = ["ops@example.com"]
    settings.ALERT_URLS = ["slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "nonsense://x"]
    asked = []
    monkeypatch.setattr(
        "apprise.plugins.slack.NotifySlack.notify", lambda self, **said: asked.append(said) or True
    )
    tag = make_tag("team", limit="10")
    spend(tag, "8")
    raise_alerts()

    assert deliver_alerts() == 2

    (message,) = mail.outbox
    assert message.subject == "Tollgate: team has used 80% of its budget"
    assert message.body.startswith("team has used 80% of its budget.\nSpent $8.00 of $10.00.")
    assert asked[0]["title"] == message.subject
    rows = dict(AlertDelivery.objects.values_list("channel", "state"))
    assert sorted(rows.values()) == ["delivered", "delivered", "waiting"]
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in str(rows) + repr(channels())


def test_a_test_goes_to_every_channel_at_once(hooked):
    with receiver() as server:
        hooked(server.url, "http://127.0.0.1:1/x")
        found = send_test("ana")

    assert sorted((one.is_delivered, one.answer) for one in found) == [
        (False, "no answer: ConnectionError"), (True, "answered 200"),
    ]  # fmt: skip
    assert not AlertDelivery.objects.filter(state="waiting").exists()


def test_pauses_grow_to_an_hour():
    pauses = [pause_after(n) for n in range(1, 15)]

    assert timedelta(seconds=5) <= pauses[0] <= timedelta(seconds=10)
    assert timedelta(minutes=30) <= pauses[-1] <= timedelta(hours=1)


def test_a_tiny_budget_can_be_read():
    tag = make_tag("team", limit="0.00005")
    spend(tag, "0.0000444")
    raise_alerts()

    assert "Spent $0.00004440 of $0.00005000." in body_of(Alert.objects.get())


# -- what reviewers found --------------------------------------------------------------------------


def test_the_first_refusal_is_told_where_the_limit_is_never_reached():
    tag = make_tag("team", limit="10", mode="strict")
    spend(tag, "9.9")
    BudgetWindow.objects.update(starts_at=database_now() - DAY)
    told_before = raise_alerts()
    refused = {"error": {"type": "budget_exceeded", "budget": tag.budget.public_id}}
    for _ in range(2):
        make_past_call(tags=("team",), status="refused", record=refused)

    assert (told_before, raise_alerts(), raise_alerts()) == (1, 1, 0)
    assert told()[-1] == ("budget.exceeded", 0)


def test_many_refusals_of_one_secret_hide_no_other(monkeypatch):
    """Each subject is one row of what is looked at, however many calls it has."""
    monkeypatch.setattr("spend.alerts.ROWS_MAX", 2)
    auth = {"error": {"type": "upstream_auth_error"}}
    for model in ("a", "a", "a", "b"):
        make_past_call(status="failure", model=model, record=auth)

    assert (raise_alerts(), raise_alerts()) == (2, 0)


def test_a_call_that_took_an_hour_is_told():
    make_past_call(record={"flags": ("overrun",)}, cost=dollars("1"), ago=timedelta(hours=1))

    assert raise_alerts() == 1


def test_a_strange_address_stops_no_other(settings, hooked):
    with receiver() as server:
        hooked("http://a..b/x", "http://[::1/x", server.url)
        settings.ALERT_EMAILS = ["two\nlines@example.com"]
        raise_one("test", {}, subject="s")

        assert deliver_alerts() == 1

    answers = set(AlertDelivery.objects.filter(state="waiting").values_list("attempts", flat=True))
    assert answers == {1}


def test_who_comes_late_does_not_undo_a_delivery(hooked, monkeypatch):
    """The lease of the first runs out while it waits; another delivers; then the first fails."""

    def deliver_slowly(channel, alert):
        AlertDelivery.objects.update(state="delivered", answer="answered 200")
        raise DeliveryFailed("no answer")

    hooked("http://127.0.0.1:1/x")
    raise_one("test", {}, subject="s")
    monkeypatch.setattr("spend.deliveries.deliver", deliver_slowly)
    deliver_alerts()

    assert AlertDelivery.objects.get().state == "delivered"


def test_beats_that_run_at_once_tell_once(books, hooked):
    """Five of them, each task three times. What was never charged is taken back at the end."""
    tags = [make_tag(limit="10") for _ in range(4)]
    windows = BudgetWindow.objects.filter(budget__in=[tag.budget for tag in tags])
    mine = Alert.objects.filter(window__budget__in=[tag.budget for tag in tags])
    windows.update(spent=dollars("8.5"))
    try:
        with receiver() as server:
            hooked(server.url)
            together(*[raise_alerts] * 15)
            together(*[deliver_alerts] * 15)
    finally:
        windows.update(spent=0)

    assert sorted(mine.values_list("threshold", flat=True)) == [80] * 4
    ids = [json.loads(body)["id"] for _, body in server.got]
    assert {str(alert.pk) for alert in mine} <= set(ids)
    assert len(ids) == len(set(ids))
    books.check()
