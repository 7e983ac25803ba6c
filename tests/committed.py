"""Committed: a database that really commits, for tests of calls; its rows stay until the end.

Rows are told apart by their unique names, not swept away between tests, so nobody waits for that
and whatever runs beside a test, as a gateway does, may keep its cards. Both fixtures are imported
into tests/conftest.py, and there only: imported twice they would make the database twice.
"""

import contextlib
import functools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from spend.models import Budget, BudgetWindow, Reservation, SpendLog

REST_SECONDS_MAX = 15.0


@dataclass(frozen=True, slots=True)
class Books:
    """What the rows say. Amounts in nano-dollars."""

    database: str

    def window(self, payer) -> BudgetWindow:
        """The open window of a budget, or of the own budget of a tag or a key."""
        budget = payer if isinstance(payer, Budget) else payer.budget
        return BudgetWindow.objects.open().get(budget=budget)

    def spent(self, payer) -> int:
        return self.window(payer).spent

    def reserved(self, payer) -> int:
        return self.window(payer).reserved

    def rows(self, tag) -> list[SpendLog]:
        """A tag's rows, the oldest first."""
        name = getattr(tag, "name", tag)
        return list(SpendLog.objects.filter(tag_set__tags__contains=[name]).order_by("id"))

    def rows_once(self, tag, count: int) -> list[SpendLog]:
        """A tag's rows, once there are so many; a refusal holds nothing to be waited for."""
        deadline = time.monotonic() + REST_SECONDS_MAX
        while len(rows := self.rows(tag)) < count:
            assert time.monotonic() < deadline, f"{len(rows)} rows of {count}"
            time.sleep(0.003)
        return rows

    def row(self, call_id: str | UUID, *, seconds_max: float = REST_SECONDS_MAX) -> SpendLog:
        """The row of a call. Settling is off the response path, so it may come a moment later."""
        deadline = time.monotonic() + seconds_max
        while (row := SpendLog.objects.filter(id=call_id).first()) is None:
            assert time.monotonic() < deadline, f"call {call_id} has no row"
            time.sleep(0.003)
        return row

    def has_trace(self, call_id: str | UUID) -> bool:
        found = (rows.objects.filter(id=call_id).exists() for rows in (SpendLog, Reservation))
        return any(found)

    def rest(self, *, seconds_max: float = REST_SECONDS_MAX) -> None:
        """Wait until no call is in flight."""
        deadline = time.monotonic() + seconds_max
        while (held := Reservation.objects.count()) > 0:
            assert time.monotonic() < deadline, f"{held} reservations were never settled"
            time.sleep(0.003)

    def check(self) -> None:
        """At rest: every window and every hour equals its rows; nothing is held."""
        self.rest()
        assert differences() == []


def differences() -> list[tuple]:
    """What does not add up, whatever tests were here before."""
    query = """
      with paid as (select w, sum(cost) n from spend_spendlog, unnest(windows) w group by w)
      select 'window', b.id::text, b.spent, coalesce(p.n, 0), b.reserved
        from spend_budgetwindow b left join paid p on p.w = b.id
       where b.spent <> coalesce(p.n, 0) or b.reserved <> 0
      union all
      select 'rollup', r.span, sum(r.cost), max(l.cost), sum(r.requests + r.refused) - max(l.n)
        from spend_rollup r,
             (select sum(cost) cost, count(*) filter (where corrects is null) n
                from spend_spendlog) l
       group by r.span having sum(r.cost) <> max(l.cost) or sum(r.requests + r.refused) <> max(l.n)
      union all
      select 'both', id::text, 0, 0, 0 from spend_reservation join spend_spendlog using (id)
      union all
      select 'over', id::text, spent, "limit", reserved from spend_budgetwindow
       where mode = 'strict' and spent + reserved > "limit" + excess"""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@contextlib.contextmanager
def connected_to(name: str) -> Iterator[None]:
    """The tests' own thread is connected to that database, by a connection that is kept for it.

    A new one would read the catalogue and plan the ledger's functions anew for each test.
    """
    before, kept = connections["default"], kept_connection(name)
    connections["default"] = kept
    try:
        if kept.connection is not None and not kept.is_usable():
            kept.close()
        yield
    finally:
        if kept.in_atomic_block:
            kept.close()
        connections["default"] = before


@functools.cache
def kept_connection(name: str) -> BaseDatabaseWrapper:
    kept = connections.create_connection("default")
    kept.settings_dict = {**kept.settings_dict, "NAME": name}
    return kept


@pytest.fixture(scope="session")
def committed_database(django_db_setup, django_db_blocker, worker_id) -> Iterator[str]:
    """The name of a database of the tests' own that no test rolls back.

    From here on all threads but the tests' own are connected to it, whatever test is running.
    """
    name = f"tollgate_committed_{worker_id}"
    conninfo = psycopg.conninfo.make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    with psycopg.connect(conninfo, autocommit=True) as postgres:
        postgres.execute(f'drop database if exists "{name}" with (force)')
        postgres.execute(f'create database "{name}"')
    main = connections["default"]
    main.settings_dict = {**main.settings_dict}
    connections.settings["default"]["NAME"] = name
    with django_db_blocker.unblock(), connected_to(name):
        call_command("migrate", verbosity=0)
    yield name
    kept_connection(name).close()
    with psycopg.connect(conninfo, autocommit=True) as postgres:
        postgres.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def books(committed_database, django_db_blocker) -> Iterator[Books]:
    """Within a test that uses it, Django's connection is one to the committed database."""
    with django_db_blocker.unblock(), connected_to(committed_database):
        yield Books(committed_database)
