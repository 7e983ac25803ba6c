"""The bill: ten thousand calls at odd prices; our books and the provider's own agree exactly.

The provider counts in fractions of a dollar, from prices of its own; both books know a call by its
`user`.
"""

import asyncio
from collections import Counter

from django.db.models import Sum

from spend.models import Rollup, SpendLog
from tests.factories import make_key, make_model, make_tag, unique
from tests.wire.client import run
from tests.wire.conftest import hear
from tests.wire.live import providing

CALLS = 10_000
AT_ONCE = 48
INPUT, OUTPUT = "0.000000333777", "0.000001000999"  # dollars a token: a third of a nano and so on
IN_MILLIONS = {"input": "0.333777", "output": "1.000999"}


async def call_all(client, prefix, tags, mark):
    """Statuses by count; every fourth call is a stream."""
    numbers = iter(range(CALLS))
    statuses = Counter()

    async def call_on():
        for n in numbers:
            acts = f"ok:{n % 977 + 1},{n % 389 + 1}"
            chosen = [tag for place, tag in enumerate(tags) if n % (place + 2) == 0]
            answer = await client.chat(
                f"{prefix}/{acts}", tags=chosen, user=f"{mark}-{n}", stream=n % 4 == 0
            )
            statuses[answer.status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(call_on())
    return statuses


def test_it_is_the_same_in_both_books_to_the_nano_dollar(server, books, tmp_path):
    with providing(tmp_path / "bill.jsonl", input=INPUT, output=OUTPUT) as provider:
        prefix, mark = unique("odd"), unique("mark")
        make_model(f"{prefix}/*", address=provider.address, upstream_model="*", **IN_MILLIONS)
        tags = [make_tag(limit="100000", duration="30d"), make_tag(), make_tag(limit="1000")]
        key = make_key()
        hear(server)

        statuses = run(server.port, key.secret, lambda client: call_all(client, prefix, tags, mark))
        books.rest()
        theirs = {line["mark"]: line["cost"] for line in provider.bill(mark)}
        faults = provider.faults()

    rows = SpendLog.objects.filter(end_user__startswith=f"{mark}-")
    ours = dict(rows.values_list("end_user", "cost"))
    assert statuses == {200: CALLS}
    assert faults == []
    assert len(theirs) == rows.count() == CALLS
    assert {name: cost for name, cost in ours.items() if theirs.get(name) != cost} == {}
    assert set(rows.values_list("status", "usage_source")) == {("success", "upstream")}
    assert books.spent(key) == sum(theirs.values())
    for place, tag in enumerate(tags):
        share = sum(cost for name, cost in theirs.items() if number_of(name) % (place + 2) == 0)
        window = books.window(tag)
        assert (window.spent, window.reserved) == (share, 0)
    rolled = Rollup.objects.filter(span="day", key_id=key.id)
    assert rolled.aggregate(Sum("cost"), Sum("requests")) == {
        "cost__sum": sum(theirs.values()),
        "requests__sum": CALLS,
    }
    books.check()


def number_of(mark):
    return int(mark.rpartition("-")[2])
