"""Partitions: the log's months, made ahead, whoever makes them and whatever the clocks say."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connection

from spend.connection import connection_arguments
from spend.ids import CallIds, floor_id
from spend.models import SpendLog
from spend.partitions import MONTHS_AHEAD, make_partitions
from spend.rollover import database_now
from tests.bank import connected_to

LONG_AGO = (datetime.now(UTC) - timedelta(days=250)).replace(day=9)
NEXT_MONTH = (LONG_AGO + timedelta(days=31)).replace(
    day=1, hour=0, minute=0, second=0, microsecond=0
)


@pytest.fixture
def partitions(bank_books):
    """Their names; what a test makes is dropped after it."""
    before = partition_names()
    yield partition_names
    with connection.cursor() as cursor:
        cursor.execute("truncate spend_spendlog")
        for name in partition_names() - before:
            cursor.execute(f"drop table {name}")


def partition_names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'spend_spendlog'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


def partition_of(row: SpendLog) -> str:
    with connection.cursor() as cursor:
        query = "select tableoid::regclass::text from spend_spendlog where id = %s"
        cursor.execute(query, [row.id])
        (name,) = cursor.fetchone()
    return name


def write_row(at: datetime) -> SpendLog:
    """A row whose id is of that time."""
    milliseconds = int(at.timestamp() * 1000)
    return SpendLog.objects.create(
        id=CallIds(lambda: milliseconds).next(), at=at, ended_at=at, status="refused",
        http_status=400, endpoint="chat/completions", stream=False, client_disconnected=False,
        key_id=floor_id(at), tag_set_id=1, model="demo-fast", prompt_tokens=0, completion_tokens=0,
        usage={}, usage_source="none", cost=0, windows=[], holds=[],
    )  # fmt: skip


def month_name(at: datetime) -> str:
    return f"spend_spendlog_y{at:%Ym%m}"


def test_it_works(partitions):
    now = database_now()

    assert {month_name(now), "spend_spendlog_default"} <= partitions()
    assert len(partitions()) == MONTHS_AHEAD + 2
    assert make_partitions() == 0  # they were made by the migration


def test_a_row_is_in_the_month_of_its_id(partitions):
    now = database_now()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    assert partition_of(write_row(now)) == month_name(now)
    assert partition_of(write_row(first)) == month_name(first)


def test_it_makes_past_months_when_asked(partitions):
    make_partitions(LONG_AGO)

    assert month_name(LONG_AGO) in partitions()
    just_before = NEXT_MONTH - timedelta(milliseconds=1)
    assert partition_of(write_row(LONG_AGO)) == month_name(LONG_AGO)
    assert partition_of(write_row(NEXT_MONTH)) == month_name(NEXT_MONTH)
    assert partition_of(write_row(just_before)) == month_name(LONG_AGO)
    assert make_partitions(LONG_AGO) == 0


def test_a_row_of_a_wrong_clock_is_kept_in_the_default_partition(partitions):
    row = write_row(LONG_AGO)
    assert partition_of(row) == "spend_spendlog_default"

    make_partitions(LONG_AGO)  # all months but its own

    assert partition_of(row) == "spend_spendlog_default"
    assert month_name(LONG_AGO) not in partitions()
    assert month_name(NEXT_MONTH) in partitions()


def test_makers_at_once_make_each_month_once(partitions):
    errors, made = [], []

    def run() -> None:
        with connected_to(connection_name):
            try:
                made.append(make_partitions(LONG_AGO))
            except Exception as error:  # noqa: BLE001 - told by the test
                errors.append(error)

    connection_name = connection.settings_dict["NAME"]
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(made)[:2] == [0, 0]
    assert sorted(made)[2] > 5


def test_it_gives_up_rather_than_make_bills_wait_behind_a_long_report(partitions):
    with psycopg.connect(**connection_arguments()) as report:
        report.execute("select count(*) from spend_spendlog")

        with pytest.raises(OperationalError, match="lock timeout"):
            make_partitions(LONG_AGO)

    assert make_partitions(LONG_AGO) > 0
