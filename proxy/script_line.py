"""The script line: one connection to Redis over which one script is run, a run at a time.

It is opened when it is first needed, in a task of its own: who cannot wait for it leaves it to
those who come later. After a failure it is given up, so that no late answer is taken for another's.
Nothing is retried: it is not known whether a run whose answer was lost has counted.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

CONNECT_SECONDS = 2.0

# Whatever goes wrong between us and the server.
FAILURES = (RedisError, OSError, TimeoutError)


class ScriptLine:
    """`url` as redis-py reads it, unix sockets too; ValueError if it cannot."""

    def __init__(self, url: str, script: str) -> None:
        self._script = script
        self._digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        # Only a maker of connections: what it pools is of no use to one who has one.
        self._maker: Any = ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=None,
        )
        self._connecting: asyncio.Task[AbstractConnection] | None = None

    async def run(self, keys: Sequence[str], arguments: Sequence[str]) -> bytes:
        """What the script returns. Raises one of FAILURES."""
        words = (len(keys), *keys, *arguments)
        connection = await self._reach()
        is_through = False
        try:
            answer = await self._evaluate(connection, words)
            is_through = True
        finally:
            if not is_through:
                self._connecting = None
                await connection.disconnect(nowait=True)
        return answer

    async def close(self) -> None:
        connecting, self._connecting = self._connecting, None
        if connecting is None:
            return
        connecting.cancel()
        await asyncio.wait([connecting])
        if not connecting.cancelled() and connecting.exception() is None:
            await connecting.result().disconnect(nowait=True)

    async def _reach(self) -> AbstractConnection:
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(
                self._connect(), name="script line"
            )
        connecting = self._connecting
        if not connecting.done():
            await asyncio.wait([connecting])  # which outlives whoever waits for it
        try:
            return connecting.result()
        except FAILURES:
            self._connecting = None
            raise

    async def _connect(self) -> AbstractConnection:
        connection = self._maker.make_connection()
        is_connected = False
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()
            is_connected = True
        finally:
            if not is_connected:
                await connection.disconnect(nowait=True)
        made: AbstractConnection = connection
        return made

    async def _evaluate(self, connection: AbstractConnection, words: Sequence[object]) -> bytes:
        try:
            return await self._ask(connection, "EVALSHA", self._digest, *words)
        except NoScriptError:  # it has not run; the server keeps it from now on
            return await self._ask(connection, "EVAL", self._script, *words)

    async def _ask(self, connection: AbstractConnection, *words: object) -> bytes:
        await connection.send_command(*words)
        answer: bytes = await connection.read_response()
        return answer
