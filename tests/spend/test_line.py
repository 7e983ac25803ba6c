"""Line: the ledger's statements over libpq."""

import asyncio

import psycopg
import pytest

from spend.connection import LedgerConnection, connection_arguments
from spend.line import as_text, numbered

pytestmark = pytest.mark.django_db(transaction=True)


def ask(query, parameters=(), **options):
    async def run():
        connection = LedgerConnection(connection_arguments(**options))
        try:
            return await connection.fetch_value(query, parameters, seconds_max=10)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("query", "parameters", "value"),
    [
        ("select 7", [], 7),
        ("select %s::bigint + 1", [41], 42),
        ("select %s::text", ["Grüße, \n 'x'"], "Grüße, \n 'x'"),
        ("select to_json(%s::bigint[])", [[1, -2]], [1, -2]),
        ("select to_json(%s::bigint[])", [[]], []),
        ("select (%s::jsonb)", ['{"a": [1, null]}'], {"a": [1, None]}),
        ("select to_json(%s::boolean)", [True], True),
        ("select %s::text", [None], None),
    ],
)
def test_it_works(query, parameters, value):
    assert ask(query, parameters) == value


def test_it_sends_and_reads_more_than_a_socket_holds():
    text = "x" * 20_000_000

    assert len(ask("select %s::text", [text])) == len(text)


def test_it_names_what_the_server_refused_and_goes_on():
    async def run():
        connection = LedgerConnection(connection_arguments())
        try:
            with pytest.raises(psycopg.errors.DivisionByZero):
                await connection.fetch_value("select 1 / %s::int", [0], seconds_max=5)
            line = connection._line
            assert await connection.fetch_value("select 1 / %s::int", [1], seconds_max=5) == 1
            return line is connection._line
        finally:
            await connection.close()

    assert asyncio.run(run())


def test_it_refuses_a_text_with_a_nul():
    with pytest.raises(psycopg.DataError):
        as_text("a\0b")


def test_it_numbers_its_parameters():
    assert numbered("select f(%s::jsonb, %s)") == b"select f($1::jsonb, $2)"
