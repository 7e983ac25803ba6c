"""LedgerConnection: one psycopg connection of a web worker, reopened when it breaks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psycopg
from django.db import connections
from psycopg.types.json import set_json_loads

CONNECT_SECONDS = 2
# A server that lost its client notices within half a minute, so that its locks are let go.
KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"

# The transaction was rolled back because of what was asked: asking again changes nothing.
BAD_ITEM = (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError)
# Anything else that goes wrong between us and the server; what was asked may have been committed.
FAILURES = (psycopg.Error, OSError, TimeoutError)
# The schema is not ours, or not of our version: rolled back, and asking again changes nothing.
HOPELESS = (psycopg.ProgrammingError,)


def connection_arguments(**options: str) -> dict[str, Any]:
    """Arguments for psycopg.connect that reach the database of Django's default connection."""
    arguments = dict(connections["default"].get_connection_params())
    for name in ("cursor_factory", "context", "prepare_threshold"):
        arguments.pop(name, None)
    settings = " ".join(f"-c {name}={value}" for name, value in options.items())
    arguments["options"] = f"{arguments.get('options', '')} {KEEPALIVES} {settings}".strip()
    arguments["connect_timeout"] = CONNECT_SECONDS
    arguments["application_name"] = "tollgate-ledger"
    return arguments


class LedgerConnection:
    """One statement at a time, each its own transaction; opened on first use."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def fetch_value(
        self, query: str, parameters: Sequence[object], *, seconds_max: float
    ) -> Any:
        """The first column of the only row.

        Raises one of BAD_ITEM when nothing was changed, else one of FAILURES, after which the
        outcome is unknown and the next call uses a new connection.
        """
        try:
            async with asyncio.timeout(seconds_max):
                connection = await self._open()
                cursor = connection.cursor(binary=True)
                await cursor.execute(query, parameters, prepare=True)
                row = await cursor.fetchone()
        except BAD_ITEM:
            raise
        except BaseException:  # whatever it was, this connection is not to be trusted again
            await self.close()
            raise
        assert row is not None
        return row[0]

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            opened = await psycopg.AsyncConnection.connect(**self._arguments, autocommit=True)
            set_json_loads(orjson.loads, opened)
            self._connection = opened
        return self._connection
