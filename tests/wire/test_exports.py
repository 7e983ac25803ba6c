"""Exports from a live server: they are sent as they are read, and end when the client does."""

import csv
import io
import json
import socket
from datetime import timedelta
from http.client import HTTPConnection

import pytest
from django.db import connection

from spend.past_calls import write_past_calls
from tests.engine_room import wait_until
from tests.factories import unique
from tests.past import past_call

CALLS = 6_000
READING = """
    select count(*) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()
       and state in ('active', 'idle in transaction') and xact_start is not null
       and query like '%%_django_curs_%%'
"""


@pytest.fixture(scope="module")
def tag():
    return unique("exported")


@pytest.fixture
def long_log(books, tag):
    """Made by the first test that needs it; it stays."""
    if not books.rows(tag):
        long = {"user_agent": "x" * 1_000}  # so that it does not fit into the buffers on the way
        write_past_calls(
            past_call(tags=(tag, "too"), cost=n, intent=long, ago=timedelta(seconds=n))
            for n in range(CALLS)
        )


def ask(server, master_key, path):
    line = HTTPConnection("127.0.0.1", server.port, timeout=20)
    line.connect()
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    line.request("GET", path, headers={"authorization": f"Bearer {master_key}"})
    return line, line.getresponse()


def count_reading():
    with connection.cursor() as cursor:
        cursor.execute(READING)
        return cursor.fetchone()[0]


def test_all_rows_come_in_their_order(server, master_key, long_log, tag):
    line, response = ask(server, master_key, f"/spend/export?format=csv&tag={tag}")
    rows = list(csv.DictReader(io.StringIO(response.read().decode(), newline="")))
    line.close()

    assert response.getheader("content-length") is None
    assert response.getheader("transfer-encoding") == "chunked"
    assert len({row["id"] for row in rows}) == CALLS
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    nanos = [int(row["spend"].replace(".", "").ljust(10, "0")) for row in rows]
    assert sum(nanos) == sum(range(CALLS))
    wait_until(lambda: count_reading() == 0)


def test_a_client_that_leaves_lets_go_of_the_cursor(server, master_key, long_log, tag):
    line, response = ask(server, master_key, f"/spend/export?format=jsonl&tag={tag}")
    first = json.loads(response.readline())
    wait_until(lambda: count_reading() == 1)

    response.close()
    line.close()

    assert first["request_tags"] == [tag, "too"]
    wait_until(lambda: count_reading() == 0)
    line, response = ask(server, master_key, "/spend/export?tag=nobody")
    assert (response.status, response.read().count(b"\n")) == (200, 1)
    line.close()


def test_a_bill_comes_whole_too(server, master_key, long_log, tag):
    line, response = ask(server, master_key, "/spend/focus")
    rows = list(csv.DictReader(io.StringIO(response.read().decode(), newline="")))
    line.close()

    calls = sum(int(row["x_RequestCount"]) for row in rows if tag in json.loads(row["Tags"]))
    assert calls > 0
    assert response.status == 200
    wait_until(lambda: count_reading() == 0)


def test_a_bad_question_is_answered_whole(server, master_key):
    line, response = ask(server, master_key, "/spend/export?format=xml")
    answer = json.loads(response.read())
    line.close()

    assert (response.status, answer["error"]["param"]) == (400, "format")
