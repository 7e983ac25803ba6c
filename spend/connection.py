"""LedgerConnection: one psycopg connection of a web worker, reopened when it breaks."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connections

from spend.line import Line

CONNECT_SECONDS = 2
# A server that lost its client notices within half a minute, so that its locks are let go.
KEEPALIVES = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
# The same few statements, for ever: planned once, when the tables may still be empty. Reading a
# table from end to end looks cheap then, and would be most of the ledger's work a minute later.
STEADY_PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}

# The transaction was rolled back because of what was asked: asking again changes nothing.
BAD_ITEM = (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError)
# Anything else that goes wrong between us and the server; what was asked may have been committed.
FAILURES = (psycopg.Error, OSError, TimeoutError)
# Somebody else was in the way: rolled back, and worth asking again.
BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
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


class NotConnected(ConnectionError):
    """There was no connection to ask over: nothing was sent, so nothing was done."""


class LedgerConnection:
    """One statement at a time, each its own transaction; opened on first use."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    async def fetch_value(
        self, query: str, parameters: Sequence[object], *, seconds_max: float
    ) -> Any:
        """The first column of the only row.

        Raises one of BAD_ITEM or BUSY or NotConnected when nothing was changed, else one of
        FAILURES, after which the outcome is as `is_rolled_back` says and the next call uses a new
        connection.
        """
        async with self._turn:
            line = await self._open()
            alarm = asyncio.get_running_loop().call_later(seconds_max, line.hang_up)
            try:
                return await line.fetch_value(query, parameters)
            except (*BAD_ITEM, *BUSY):
                raise
            except BaseException:  # whatever it was, this connection is not to be trusted again
                await self.close()
                raise
            finally:
                alarm.cancel()

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _open(self) -> Line:
        if self._line is None or not self._line.is_open:
            await self.close()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    opened = await psycopg.AsyncConnection.connect(
                        **self._arguments, autocommit=True
                    )
            except FAILURES as error:
                raise NotConnected(str(error)) from error
            self._line = Line(opened)
        return self._line


def hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """Whoever waits for this connection hears at once that it is lost; the outcome is unknown.

    A driver that is told to stop would first ask the server to stop, and a frozen one never says.
    """
    with (
        contextlib.suppress(psycopg.Error, OSError),  # it has ended by itself
        socket.socket(fileno=os.dup(connection.fileno())) as ours,
    ):
        ours.shutdown(socket.SHUT_RDWR)


def is_rolled_back(error: BaseException) -> bool:
    """Whether a failed statement is known to have changed nothing.

    An error that the server reports undoes the statement. One that ends the session, or that is
    none of the server's, may have come after the commit.
    """
    if isinstance(error, psycopg.Error):
        return error.diag.severity_nonlocalized == "ERROR"
    return isinstance(error, NotConnected)
