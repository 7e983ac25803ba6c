"""Line: prepared statements over a libpq connection, read by the event loop itself.

psycopg connects and names the errors. Its cursors would register with the event loop anew for each
statement and convert each value by type; for the ledger's few statements, which take text and
answer with JSON, that was a fifth of a worker's time.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import orjson
import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

INTEGERS = frozenset({20, 21, 23})  # the type numbers of int8, int2, int4
JSONS = frozenset({114, 3802})


class Line:
    """One statement at a time. A failure other than the server's refusal ends the line."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self._pq = connection.pgconn
        self._pq.nonblocking = 1
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, bytes] = {}
        self._waiter: asyncio.Future[pq.abc.PGresult] | None = None
        self._result: pq.abc.PGresult | None = None
        # The loop watches a descriptor of our own: libpq closes its one when the server is gone,
        # and then the loop hears nothing, or what befalls the next connection of that number.
        self._socket = os.dup(self._pq.socket)
        self._loop.add_reader(self._socket, self._read)

    @property
    def is_open(self) -> bool:
        return self._pq.status == pq.ConnStatus.OK

    async def fetch_value(self, query: str, parameters: Sequence[object]) -> Any:
        """The first column of the only row. Raises psycopg.Error."""
        values = [as_text(value) for value in parameters]
        name = self._names.get(query)
        if name is None:
            name = b"ledger_%d" % len(self._names)
            self._pq.send_prepare(name, numbered(query))
            await self._answer()
            self._names[query] = name
        self._pq.send_query_prepared(name, values)
        return value_of(await self._answer())

    async def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        os.close(self._socket)
        self._fail(psycopg.OperationalError("the line was closed"))
        await self.connection.close()

    def hang_up(self) -> None:
        """Whoever waits for an answer hears at once that none will come. Then close it."""
        self._fail(psycopg.OperationalError("no answer in time"))

    async def _answer(self) -> pq.abc.PGresult:
        self._waiter = self._loop.create_future()
        self._write()
        result = await self._waiter
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        return result

    def _write(self) -> None:
        try:
            if self._pq.flush():  # the socket is full: go on when it is not
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._fail(error)

    def _read(self) -> None:
        try:
            self._pq.consume_input()
            while self._waiter is not None and not self._pq.is_busy():
                result = self._pq.get_result()
                if result is None:
                    self._finish()
                    return
                self._result = result
        except psycopg.Error as error:
            self._loop.remove_reader(self._socket)  # it would call again and again
            self._fail(error)

    def _finish(self) -> None:
        waiter, self._waiter = self._waiter, None
        result, self._result = self._result, None
        if waiter is None or waiter.done():
            return
        if result is None:
            waiter.set_exception(psycopg.OperationalError("the connection was lost"))
        else:
            waiter.set_result(result)

    def _fail(self, error: psycopg.Error) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


def numbered(query: str) -> bytes:
    """The query with `$1`, `$2` ... in place of `%s`."""
    first, *rest = query.split("%s")
    return (first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))).encode()


def as_text(value: object) -> bytes | None:
    """The text form of a parameter. Raises psycopg.DataError for a text that holds a NUL."""
    match value:
        case None:
            return None
        case bool():
            return b"t" if value else b"f"
        case str():
            text = value.encode()
            if b"\0" in text:
                raise psycopg.DataError("a text cannot hold a NUL")
            return text
        case int():
            return b"%d" % value
        case list() if all(isinstance(item, int) for item in value):
            return b"{%s}" % b",".join(b"%d" % item for item in value)
    raise TypeError(f"a ledger statement takes no {type(value).__name__}")


def value_of(result: pq.abc.PGresult) -> Any:
    found = result.get_value(0, 0)
    if found is None:
        return None
    kind = result.ftype(0)
    if kind in JSONS:
        return orjson.loads(found)
    return int(found) if kind in INTEGERS else found.decode()
