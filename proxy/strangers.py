"""Strangers: addresses that present keys which nobody knows; too often, and they are told to wait.

A key that is known passes whatever its neighbours do, so a shared address harms nobody. Counted by
each worker by itself: no guess is ever let in, and what is saved is its time and its log.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings

from proxy.errors import Failure

WINDOW_SECONDS = 60
ADDRESSES_MAX = 10_000
NOWHERE = ""


@dataclass(slots=True)
class Count:
    until: float
    keys: int = 0


class Strangers:
    """Times are `monotonic`; of too many addresses the one that began first is forgotten."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, Count] = OrderedDict()

    def refusal(self, refused: Failure, address: str | None) -> Failure:
        """`refused`, or what it is told who was refused too often."""
        now = time.monotonic()
        count = self._counts.get(address or NOWHERE)
        if count is None or count.until <= now:
            count = self._counts[address or NOWHERE] = Count(now + WINDOW_SECONDS)
            self._counts.move_to_end(address or NOWHERE)
            if len(self._counts) > ADDRESSES_MAX:
                self._counts.popitem(last=False)
        count.keys += 1
        if count.keys <= settings.UNKNOWN_KEYS_PER_MINUTE:
            return refused
        seconds = max(1, -int(now - count.until))
        text = "Too many keys that are not valid came from this address."
        return Failure(429, "rate_limit_error", text, headers={"Retry-After": str(seconds)})


STRANGERS = Strangers()
