"""Backup: a dump that is restored elsewhere is the same books, guards and partitions included."""

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from psycopg.conninfo import make_conninfo

from config.postgres import binaries_in_wheel
from spend.audit import record_change
from spend.models import Reservation
from spend.reconcile import EVER, reconcile
from tests.bank import connected_to, draw_on
from tests.factories import dollars, make_budget

SUMS = """
    select (select count(*) from spend_spendlog), (select sum(cost) from spend_spendlog),
           (select sum(spent) from spend_budgetwindow),
           (select sum(reserved) from spend_budgetwindow),
           (select sum(cost) from spend_rollup where span = 'hour'),
           (select count(*) from spend_reservation)"""
PARTITIONS = """
    select child.relname, pg_get_expr(child.relpartbound, child.oid), parent.relname
      from pg_inherits join pg_class child on child.oid = inhrelid
      join pg_class parent on parent.oid = inhparent
     where child.relkind = 'r' order by 1"""
TRIGGERS = """
    select tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid)
      from pg_trigger where not tgisinternal order by 1, 2"""
EDITS = [
    "update spend_spendlog set cost = 0",
    "delete from spend_spendlog",
    "update spend_audit set actor = 'nobody'",
    "delete from spend_auditseal",
]


@pytest.fixture
def restored(bank, tmp_path) -> Iterator[str]:
    """The name of a database that the bank's dump was restored into, a call being in flight."""
    budget = make_budget(limit="1")
    for cost in ("0.25", "0.125"):
        bank.settle(bank.reserve([draw_on(budget)], dollars("0.5")), dollars(cost))
    bank.refuse()
    bank.reserve([draw_on(budget)], dollars("0.0625"))
    record_change("ana", "create", "tag", "a", after={"limit": 1})
    name = f"{bank.database}_restored"
    dump = tmp_path / "tollgate.dump"
    with psycopg.connect(conninfo_of("postgres"), autocommit=True) as postgres:
        postgres.execute(f'drop database if exists "{name}" with (force)')
        postgres.execute(f'create database "{name}"')
        run("pg_dump", "-Fc", "-f", dump, "-d", conninfo_of(bank.database))
        run("pg_restore", "--no-owner", "--single-transaction", "-d", conninfo_of(name), dump)
        yield name
        postgres.execute(f'drop database "{name}" with (force)')


def run(program: str, *words: str | Path) -> None:
    newest = max(binaries_in_wheel(), key=lambda binaries: binaries.major)
    command = [newest.folder / program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def conninfo_of(database: str) -> str:
    return make_conninfo(os.environ["DATABASE_URL"], dbname=database)


def answer(query: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_it_restores_the_same_books(bank, restored):
    before = [answer(query) for query in (SUMS, PARTITIONS, TRIGGERS)]
    head = reconcile(since=EVER).audit_head

    with connected_to(restored):
        found = reconcile(since=EVER, known_head=head)
        after = [answer(query) for query in (SUMS, PARTITIONS, TRIGGERS)]

        assert (found.is_ok, found.differences, found.windows_ok) == (True, (), 1)
        assert after == before
        assert after[0] == [(3, 375_000_000, 375_000_000, 62_500_000, 375_000_000, 1)]
        assert "spend_spendlog_default" in {name for name, *_ in after[1]}
        for edit in EDITS:
            with pytest.raises(IntegrityError, match="append"):
                answer(edit)


def test_it_accounts_for_what_was_in_flight_at_the_dump(bank, restored):
    with connected_to(restored):
        call_command("prepare_ledger", alone=True, verbosity=0, stdout=io.StringIO())
        found = reconcile(since=EVER)

        assert (Reservation.objects.count(), found.differences) == (0, ())
        assert answer(SUMS) == [(4, 437_500_000, 437_500_000, 0, 437_500_000, 0)]

    assert Reservation.objects.count() == 1
