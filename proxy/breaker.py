"""The breaker: what failed several times in a row is left alone for a while."""

from time import monotonic

FAILURES_MAX = 3  # a single one may be our own delay
OPEN_SECONDS = 1.0


class Breaker:
    """Closed, one may ask. Once it has been open for its time the next failure opens it again."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return monotonic() < self._open_until

    def fail(self) -> bool:
        """Whether this failure opened it for the first time."""
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._open_until = monotonic() + OPEN_SECONDS
        return self._failures == FAILURES_MAX

    def succeed(self) -> bool:
        """Whether it had been open until now."""
        had_opened = self._failures >= FAILURES_MAX
        self._failures = 0
        self._open_until = 0.0
        return had_opened
