"""Page: what every page has in common: login, headers, one look at the books, and their absence."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import InternalError, OperationalError, connection
from psycopg.errors import QueryCanceled

from tags.models import Tag
from tags.pages import page, roster
from tags.pages.outage import OutageMiddleware
from tags.pages.page import snapshot
from tests.admin_clients import client_of, root_client
from tests.factories import make_tag

HTMX = {"HX-Request": "true", "HX-Target": "roster"}
HTML = {"Accept": "text/html"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
ADDRESSES = ("/tags/", "/tags/new/", "/tags/export.csv", "/admin/", "/admin/tags/tag/")


@pytest.mark.django_db
@pytest.mark.parametrize("address", ADDRESSES)
def test_it_has_one_strict_policy_and_is_kept_by_nobody(address):
    answer = root_client().get(address)

    parts = {part.strip() for part in answer["Content-Security-Policy"].split(";")}
    assert parts == {part.strip() for part in POLICY.split(";")}
    assert "no-store" in answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]


@pytest.mark.django_db
def test_it_answers_a_part_only_to_htmx_and_says_so():
    client = root_client()
    make_tag("a")

    whole, part = client.get("/tags/"), client.get("/tags/", headers=HTMX)
    restored = client.get("/tags/", headers=HTMX | {"HX-History-Restore-Request": "true"})

    for answer in (whole, part):
        assert "HX-Request" in answer["Vary"]
    assert b"<html" in whole.content
    assert b"<html" in restored.content
    assert part.content.strip().startswith(b'<section id="roster"')


def test_it_sends_strangers_to_the_login_and_back(client, db):
    plain = client.get("/tags/?q=a&sort=name")
    part = client.get(
        "/tags/?q=ab", headers=HTMX | {"HX-Current-URL": "http://testserver/tags/?q=a"}
    )
    no_staff = client_of(User.objects.create(username="x")).get("/tags/")

    assert plain["Location"] == "/admin/login/?next=/tags/%3Fq%3Da%26sort%3Dname"
    assert part["HX-Redirect"] == "/admin/login/?next=/tags/%3Fq%3Da"
    assert no_staff["Location"].startswith("/admin/login/")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cause", "said", "retries"),
    [(None, "The books cannot be reached", True), (QueryCanceled(), "That took too long", False)],
)
def test_it_says_that_the_books_are_away_or_slow(monkeypatch, cause, said, retries):
    def fail(*_):
        raise OperationalError from cause

    monkeypatch.setattr(roster, "read_roster", fail)
    client = root_client()

    whole, part = client.get("/tags/", headers=HTML), client.get("/tags/", headers=HTMX)

    assert (whole.status_code, part.status_code) == (503, 503)
    assert said in whole.content.decode()
    assert (b"http-equiv" in whole.content) is retries
    assert part["Content-Type"] == "text/plain"
    assert part.content.decode().startswith(said)


def test_it_leaves_other_errors_and_other_clients_alone():
    middleware = OutageMiddleware(lambda request: None)
    browser, client = SimpleNamespace(headers=HTML), SimpleNamespace(headers={})

    assert middleware.process_exception(browser, ValueError()) is None
    assert middleware.process_exception(client, OperationalError()) is None


def test_it_reads_one_moment_and_writes_nothing(books):
    with snapshot():
        before = Tag.objects.count()
        with pytest.raises(InternalError, match="read-only"):
            Tag.objects.update(description="x")
    with snapshot(), connection.cursor() as cursor:
        cursor.execute("show transaction_isolation")
        assert cursor.fetchone() == ("repeatable read",)
        assert Tag.objects.count() == before


def test_it_waits_for_no_statement_for_long(books, monkeypatch):
    monkeypatch.setattr(page, "READ_SECONDS_MAX", 0.02)

    with pytest.raises(OperationalError) as caught, snapshot(), connection.cursor() as cursor:
        cursor.execute("select pg_sleep(5)")

    assert isinstance(caught.value.__cause__, QueryCanceled)
