"""Books: the last recount as a page, on the front pages, and counted again by a job."""

import pytest

from spend.models import BudgetWindow, JobRun
from spend.tasks import reconcile_books
from tests.admin_clients import root_client, staff_client
from tests.factories import make_tag
from tests.past import make_past_call
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_counted_by_the_job_and_told_everywhere(monkeypatch):
    root = root_client()
    assert "have not been counted yet" in text_of(root.get("/books/"))
    make_tag(limit="5")
    make_past_call()

    reconcile_books()

    assert JobRun.objects.get(job="reconcile").outcome["ok"] is True
    assert "1 window agree" in text_of(root.get("/books/")).replace("</data>", "").replace(
        '<data value="1">', ""
    )
    assert "1 windows agree" in text_of(root.get("/admin/"))

    BudgetWindow.objects.update(spent=7)
    reconcile_books()

    text = text_of(root.get("/books/"))
    assert "The books do not agree" in text
    assert "<b>spent</b>" in text
    assert "they do not agree" in text_of(root.get("/admin/"))
    assert "The books do not agree with the log." in text_of(root.get("/"))


def test_who_may_reset_may_have_it_counted_again(monkeypatch):
    asked = []
    monkeypatch.setattr("tags.pages.books.reconcile_books.delay", lambda: asked.append(1))

    assert "being counted again" in text_of(root_client().post("/books/", follow=True))
    assert staff_client("view_jobrun").get("/books/").status_code == 200
    assert staff_client("view_jobrun").post("/books/").status_code == 403
    assert staff_client().get("/books/").status_code == 404
    assert asked == [1]
