"""Presence: the lock that says a web worker lives, and its ear for changed rows.

One connection does both. While it is connected the worker's reservations are its own; when the
process dies PostgreSQL lets the lock go, and any sweep settles what it left. A beat that the worker
sends to itself proves that notifications arrive: cards are trusted only as long as it is heard.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import psycopg

from spend.connection import FAILURES, connection_arguments, hang_up

CHANNEL = "tollgate_cards"
BEAT_SECONDS = 2.0
SILENCE_SECONDS_MAX = 5.0  # cards are not trusted for longer than this without a beat
RECONNECT_SECONDS = 0.2
LOCK_TIMEOUT = "4s"  # shorter than the silence: a session that waits in vain ends by itself
LOCK_CLASS = 7001

logger = logging.getLogger(__name__)


class Presence:
    """`on_change(table, row id)` for each changed row; `on_silence()` when some may be missed."""

    def __init__(
        self, on_change: Callable[[str, str], None], on_silence: Callable[[], None]
    ) -> None:
        self._on_change = on_change
        self._on_silence = on_silence
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self.worker_id = 0

    async def open(self) -> None:
        """Connect, take an id and its lock, and listen. Raises one of FAILURES."""
        await self._connect()
        self._listening = asyncio.create_task(self._listen_for_ever(), name="presence")

    @property
    def is_heard(self) -> bool:
        """Whether notifications have arrived lately, so that cards may be trusted."""
        return asyncio.get_running_loop().time() - self._heard_at < SILENCE_SECONDS_MAX

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            **connection_arguments(lock_timeout=LOCK_TIMEOUT), autocommit=True
        )
        async with contextlib.AsyncExitStack() as failing:
            failing.push_async_callback(connection.close)
            if not self.worker_id:
                self.worker_id = await self._ask(connection, "select nextval('spend_worker_seq')")
            # Our own old session may not be gone yet: wait for it, rather than live without it.
            lock = f"select pg_advisory_lock({LOCK_CLASS}, {self.worker_id})"
            await self._ask(connection, lock)
            await self._ask(connection, f"listen {CHANNEL}")
            failing.pop_all()
        self._connection = connection
        self._on_silence()  # what changed before we listened was not heard
        self._heard_at = asyncio.get_running_loop().time()

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except FAILURES as error:
                logger.warning("presence_lost error=%s", type(error).__name__)
            except Exception:  # a task's root: a deaf worker would trust no card again
                logger.exception("presence_broken")
            if self._connection is not None:
                await self._connection.close()
            await self._reconnect()

    async def _listen(self) -> None:
        assert self._connection is not None
        loop = asyncio.get_running_loop()
        while self.is_heard:
            await self._ask(self._connection, f"select pg_notify('{CHANNEL}', 'beat:')")
            async for notice in self._connection.notifies(timeout=BEAT_SECONDS):
                self._heard_at = loop.time()
                table, _, row_id = notice.payload.partition(":")
                if table != "beat":
                    self._on_change(table, row_id)
        raise TimeoutError("notifications do not arrive")

    async def _reconnect(self) -> None:
        while True:
            await asyncio.sleep(RECONNECT_SECONDS)
            try:
                await self._connect()
            except FAILURES:
                continue
            return

    async def _ask(self, connection: psycopg.AsyncConnection[Any], query: str) -> Any:
        """A connection that died without a word would be waited for until the system gives up."""
        alarm = asyncio.get_running_loop().call_later(SILENCE_SECONDS_MAX, hang_up, connection)
        try:
            cursor = await connection.execute(query)
            row = await cursor.fetchone() if cursor.description else None
        finally:
            alarm.cancel()
        return row and row[0]
