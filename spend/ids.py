"""Our own call ids: time-ordered UUIDv7 whose last byte is zero.

    48 bits  milliseconds since 1970
     4 bits  version 7
    12 bits  a counter within the millisecond, so that one process' ids never go back
     2 bits  variant
    54 bits  chance, so that no two processes ever meet
     8 bits  zero for a call; 1 and up for the corrections of that call

PostgreSQL orders UUIDs by their bytes, so ranges of ids are ranges of time.
"""

import os
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

CORRECTIONS_MAX = 255

# Where two clocks differ by more than this, the time of an id matters more than its order.
BACKWARDS_MS_MAX = 60_000

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOISE = struct.Struct("=512Q")
_STARTED_MS = (time.time_ns() - time.monotonic_ns()) // 1_000_000


def steady_ms() -> int:
    """Milliseconds since 1970 that go on evenly, however the wall clock is set in between."""
    return _STARTED_MS + time.monotonic_ns() // 1_000_000


class CallIds:
    """The source of one process' call ids, about a microsecond each; not shared over a fork.

    Each id is greater than the one before, even if the clock stands still or steps back a little.
    """

    def __init__(self, now_ms: Callable[[], int] = steady_ms) -> None:
        self._now_ms = now_ms
        self._ahead_ms = 0
        self._last_tick = 0
        self._noise: list[int] = []

    def adjust(self, database_now_ms: int) -> None:
        """From now on the time is what the database just said, plus what has passed since.

        A step back of more than a minute is taken at once: ids a day ahead would fall into
        partitions and reports of a day that has not come. They stay unique by chance.
        """
        self._ahead_ms = database_now_ms - self._now_ms()
        if (self._last_tick >> 12) - database_now_ms > BACKWARDS_MS_MAX:
            self._last_tick = 0

    def next(self) -> UUID:
        tick = max((self._now_ms() + self._ahead_ms) << 12, self._last_tick + 1)
        self._last_tick = tick
        if not self._noise:  # one system call for 512 ids
            self._noise.extend(_NOISE.unpack(os.urandom(_NOISE.size)))
        chance = self._noise.pop() >> 10
        counted = _VERSION | (tick & 0xFFF) << 64 | _VARIANT
        return UUID(int=(tick >> 12) << 80 | counted | chance << 8)


def is_call_id(value: UUID) -> bool:
    """Whether this could be a call's own id, rather than a correction's or anybody else's."""
    return value.version == 7 and value.int & 0xFF == 0


def correction_id(call_id: UUID, n: int) -> UUID:
    """The id of a call's nth correction: 1 for late usage, 2 and up for those made by hand."""
    if call_id.int & 0xFF:
        raise ValueError("only a call can be corrected, not a correction")
    if not 1 <= n <= CORRECTIONS_MAX:
        raise ValueError(f"a call has at most {CORRECTIONS_MAX} corrections")
    return UUID(int=call_id.int | n)


def call_of(row_id: UUID) -> UUID:
    """The call that a correction corrects; a call's own id is its own."""
    return UUID(int=row_id.int & ~0xFF)


def started_at(row_id: UUID) -> datetime:
    """When the call began, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=row_id.int >> 80)


def floor_id(at: datetime) -> UUID:
    """The smallest id of that millisecond: the bound of a partition or of a range query."""
    milliseconds = max(0, (at - _EPOCH) // timedelta(milliseconds=1))
    return UUID(int=milliseconds << 80 | _VERSION | _VARIANT)


def new_row_id() -> UUID:
    """A time-ordered UUIDv7 for a row that is not a call: a key, a price, a deployment."""
    noise = int.from_bytes(os.urandom(10))
    high = _VERSION | (noise >> 62 & 0xFFF) << 64
    return UUID(int=(time.time_ns() // 1_000_000) << 80 | high | _VARIANT | noise & (1 << 62) - 1)
