"""The Alerts tab: what it shows; who may send a test; what was given up is sent again."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from spend.alerts import raise_alerts, raise_one
from spend.models import AlertDelivery, BudgetWindow
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_tag, unique
from tests.receiver import receiver
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def viewer():
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.groups.add(Group.objects.get(name="FinOps viewer"))
    return client_of(user)


def test_it_shows_marks_channels_and_what_was_told(settings, viewer, django_assert_max_num_queries):
    settings.ALERT_EMAILS = ["ops@example.com"]
    tag = make_tag("team", limit="10", soft_limit="9")
    BudgetWindow.objects.update(spent=dollars("8.5"))
    raise_alerts()

    with django_assert_max_num_queries(12):
        text = text_of(viewer.get(f"/tags/{tag.pk}/alerts/"))

    assert "team has used 80% of its budget" in text
    assert "80% reached" in text
    assert "100% reached" not in text
    assert "e-mail ops@example.com" in text
    assert "Send a test" not in text
    summary = text_of(viewer.get(f"/tags/{tag.pk}/"))
    assert "Last alerts: team has used 80% of its budget" in summary
    assert "1 not delivered" in summary


def test_it_marks_this_window_alone_and_writes_tiny_amounts_out():
    tag = make_tag("team", limit="0.00005", duration="1d")
    window = BudgetWindow.objects.get(budget=tag.budget)
    BudgetWindow.objects.filter(pk=window.pk).update(spent=dollars("0.0000444"))
    raise_alerts()
    then = {"starts_at": window.starts_at - DAY, "ends_at": window.starts_at, "is_open": False}
    before = BudgetWindow.objects.create(budget=tag.budget, mode="standard", limit=1, **then)
    raise_one("budget.forecast", {"tag": "team"}, window=before.pk, threshold=100)
    address = f"/tags/{tag.pk}/alerts/"

    text = text_of(root_client().get(address))
    assert "$0.00004440" in text
    assert "forecast reached" not in text

    raise_one("budget.forecast", {"tag": "team"}, window=window.pk, threshold=100)
    assert "forecast reached" in text_of(root_client().get(address))


def test_without_channels_it_says_how_to_set_them():
    tag = make_tag("team", limit="10")

    assert "No channel is set." in text_of(root_client().get(f"/tags/{tag.pk}/alerts/"))
    assert "No channel is set." in text_of(root_client().post("/alerts/test/", follow=True))


def test_who_may_edit_sends_a_test_and_sends_again(settings, viewer):
    settings.ALERT_SECRET = "a-secret-for-alerts"
    tag = make_tag("team", limit="10")
    back = f"/tags/{tag.pk}/alerts/"
    assert viewer.post("/alerts/test/", {"next": back}).status_code == 404
    with receiver() as server:
        settings.ALERT_WEBHOOKS = [server.url]
        answer = root_client().post("/alerts/test/", {"next": back}, follow=True)
    assert answer.redirect_chain == [(back, 302)]
    assert "answered 200" in text_of(answer)
    assert len(server.got) == 1

    BudgetWindow.objects.update(spent=dollars("8.5"))
    raise_alerts()
    waiting = AlertDelivery.objects.get(state="waiting")
    AlertDelivery.objects.filter(pk=waiting.pk).update(state="given_up")
    assert "Send again" in text_of(root_client().get(back))
    root_client().post(f"/alerts/{waiting.pk}/again/", {"next": "//elsewhere.example"})
    assert AlertDelivery.objects.get(pk=waiting.pk).state == "waiting"
    assert root_client().post(f"/alerts/{tag.budget.public_id}/again/").status_code == 404
    assert root_client().get("/alerts/test/").status_code == 404
