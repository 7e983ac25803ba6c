"""While calls arrive: what a page says is the sum of the log's rows, at the moment it is read."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import openai
import pytest
from django.db import connection, transaction

from spend.models import Reservation, SpendLog
from tests.admin_clients import root_client
from tests.factories import make_tag, unique
from tests.wire.conftest import hear

HELLO = [{"role": "user", "content": "Hello"}]
LOOKS = 8
CALLERS = 2
# What calls came to in the last days, by tag; a refused one costs nothing and is not counted.
LOG = """
select coalesce(sum(l.cost), 0), count(*) filter (where l.status <> 'refused'),
       coalesce(sum(l.cost) filter (where s.tags = '{}'), 0),
       coalesce(sum(l.cost) filter (where %(tag)s = any(s.tags)), 0),
       count(*) filter (where %(tag)s = any(s.tags) and l.status <> 'refused')
  from spend_spendlog l join spend_tagset s on s.id = l.tag_set_id
 where l.at >= (date_trunc('day', now() at time zone 'UTC') - interval '6 days')
       at time zone 'UTC'
"""


@contextmanager
def one_moment():
    """The page's snapshot is this one, so that the log is read as the page has read it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        yield cursor


@contextmanager
def traffic(client, model, *tag_lists):
    """Callers that send without a pause until the block ends."""
    is_over = threading.Event()

    def call():
        count = 0
        while not is_over.is_set():
            for tags in tag_lists:
                metadata = {"metadata": {"tags": tags}} if tags else {}
                client.chat.completions.create(model=model, messages=HELLO, extra_body=metadata)
                count += 1
        return count

    with ThreadPoolExecutor(CALLERS) as threads:
        callers = [threads.submit(call) for _ in range(CALLERS)]
        try:
            yield callers
        finally:
            is_over.set()


@pytest.fixture
def sdk(server, key, scripted, books):
    hear(server)
    with openai.OpenAI(api_key=key.secret, base_url=f"{server.url}/v1") as client:
        yield client


def test_each_number_is_the_sum_of_the_log(sdk, scripted, books):
    tag, other = make_tag(limit="100", duration="monthly"), unique("other")
    pages, seen = root_client(), set()

    with traffic(sdk, f"{scripted}ok:12,18", [tag.name], [tag.name, other], []) as callers:
        while len(seen) < LOOKS:
            with one_moment() as cursor:
                found = look(pages, tag, other)
                cursor.execute(LOG, {"tag": tag.name})
                cost, calls, untagged, own, own_calls = cursor.fetchone()
                log = {
                    "all": (cost, calls, untagged),
                    "tag": (own, own_calls),
                    "window": (own, held_for(tag)),
                }
            assert found == {**log, "breakdown": (own, own_calls), "rows": own}
            seen.add(cost)
            assert not any(caller.done() for caller in callers)
    books.rest()
    assert SpendLog.objects.filter(tag_set__tags__contains=[tag.name]).count() == sum(
        2 * caller.result() // 3 for caller in callers
    )


def held_for(tag):
    """By the holds of the calls in flight."""
    window = tag.budget.windows.get(is_open=True).pk
    rows = Reservation.objects.filter(windows__contains=[window])
    return sum(row.holds[row.windows.index(window)] for row in rows)


def look(pages, tag, other):
    """What the list, the tag's page, the Overview and a report say, all of the last 7 days."""
    listed = pages.get(f"/tags/?range=7d&q={tag.name}").context
    (row,) = listed["roster"].rows
    shown = pages.get(f"/tags/{tag.pk}/?range=7d").context
    broken = pages.get(f"/tags/{tag.pk}/breakdown/?range=7d&by=key").context
    (budget,) = shown["rows"]
    bill, figures, total = listed["bill"], shown["figures"], broken["total"]
    opening = pages.get("/?range=7d").context["found"]
    reported = pages.get("/reports/?range=7d&rows=tag&columns=day").context["table"]
    *_, untagged, everything = reported.footer
    alone = pages.get(f"/reports/?range=7d&rows=tag&columns=day&tag={tag.name}").context["table"]
    lines = [line for line in alone.lines if line.value == tag.name]  # none before the first call
    assert (opening.total.cost, opening.total.requests, opening.untagged) == (
        bill.cost, bill.requests, bill.untagged,
    )  # fmt: skip
    assert (everything.total, untagged.total) == (bill.cost, bill.untagged)
    assert sum(line.total for line in lines) == row.cost
    assert sum(cell for line in lines for cell in line.cells) == row.cost
    assert (row.cost, row.requests) == (figures.spent, figures.requests)
    assert (row.spent, row.reserved) == (budget.standing.spent, budget.standing.reserved)
    return {
        "all": (bill.cost, bill.requests, bill.untagged),
        "tag": (row.cost, row.requests),
        "window": (row.spent, row.reserved),
        "breakdown": (total.spent, total.requests),
        "rows": sum(line["totals"].spent for line in broken["lines"]),
    }
