"""Books: after the load, each call that the upstream saw has one row, and all sums agree.

Read straight from PostgreSQL, so that no code under test marks its own work.
"""

import json
import time
import urllib.request

import psycopg

from tests.bench.call import CALL_COST_NANOS, CALL_TAGS
from tests.bench.load import Peer
from tests.bench.machine import BenchFailed

REST_SECONDS_MAX = 30
RESERVATIONS = "select count(*) from spend_reservation"
ROWS = """
select count(*), coalesce(sum(cost), 0)::bigint,
       coalesce(sum(cost * cardinality(windows)), 0)::bigint,
       count(*) filter (where status = 'failure' and client_disconnected and cost = 0) as unsent,
       count(*) filter (where status not in ('success', 'failure')),
       count(*) filter (where status = 'failure' and not (client_disconnected and cost = 0)),
       count(*) filter (where status = 'success' and cost <> %s),
       count(*) filter (where cardinality(windows) < %s)
from spend_spendlog
"""
WINDOWS = """
select w.spent, w.reserved,
       (select coalesce(sum(l.cost), 0)::bigint from spend_spendlog l where w.id = any(l.windows))
from spend_budgetwindow w where w.spent > 0 or w.reserved > 0
"""
ROLLUPS = "select sum(requests)::bigint, sum(cost)::bigint from spend_rollup where span = 'day'"


def audit_books(tested: Peer, provider: Peer, *, calls: int, cut: int = 0) -> dict[str, int]:
    """`calls` were answered in full; at most `cut` more were in flight when their client left.

    Raises BenchFailed with all that was read, if anything does not agree.
    """
    assert tested.database_url is not None
    books = audit_rows(tested.database_url)
    books |= {"calls": calls, "upstream_calls": calls_at_upstream(provider, tested)}
    sent = books["rows"] - books["unsent"]
    if not (calls <= sent == books["upstream_calls"] and books["rows"] <= calls + cut):
        raise BenchFailed(f"Calls and rows are not the same: {books}")
    return books


def audit_rows(database_url: str) -> dict[str, int]:
    """At rest: every row a success at the known cost on a window for each tag, all sums exact.

    `unsent` rows are calls whose client had left before anything was sent: they cost nothing.
    """
    with psycopg.connect(database_url, autocommit=True) as database:
        wait_until_at_rest(database)
        rows, cost, charged, unsent, *faults = one_row(
            database, ROWS, CALL_COST_NANOS, len(CALL_TAGS)
        )
        windows = database.execute(WINDOWS).fetchall()
        rolled_up = one_row(database, ROLLUPS)
    books = {"rows": rows, "cost_nanos": cost, "unsent": unsent, "windows": len(windows)}
    agree = (
        not any(faults)
        and rolled_up == (rows, cost)
        and sum(spent for spent, _, _ in windows) == charged
        and all(reserved == 0 and spent == logged for spent, reserved, logged in windows)
    )
    if not agree:
        raise BenchFailed(
            f"The books do not balance: {books}, {charged=}, {faults=}, {windows=}, {rolled_up=}"
        )
    return books


def wait_until_at_rest(database: psycopg.Connection) -> None:
    """Settles are off the response path: the last ones land a moment after the last answer."""
    give_up = time.monotonic() + REST_SECONDS_MAX
    while (held := one_row(database, RESERVATIONS)[0]) > 0:
        if time.monotonic() > give_up:
            raise BenchFailed(f"{held} reservations were never settled.")
        time.sleep(0.2)


def one_row(database: psycopg.Connection, query: str, *values: object) -> tuple:
    row = database.execute(query, values).fetchone()
    assert row is not None
    return row


def calls_at_upstream(provider: Peer, tested: Peer) -> int:
    """What the upstream itself counted, on the path that only this peer asks."""
    with urllib.request.urlopen(f"{provider.base_url}/tally") as answer:
        tally = json.load(answer)
    return int(tally["calls"].get(f"/{tested.name}/v1/chat/completions", 0))
