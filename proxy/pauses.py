"""Pauses: how long to wait before an upstream is asked again, and whether somebody still waits."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import perf_counter

from django.conf import settings

from proxy.errors import Failure
from proxy.relay import Outlet

PAUSE_SECONDS_MAX = 5.0  # an upstream that asks for more is not asked again
JITTER = 0.25
LOOK_SECONDS = 0.05  # how often a pause looks whether its client has left


def pause_seconds(nth: int, failure: Failure) -> float | None:
    """Twice as long each time; what the upstream asks for, if that is not too long (None)."""
    seconds: float = settings.RETRY_PAUSE_SECONDS * 2 ** max(0, nth - 1)
    jittered = seconds * random.uniform(1 - JITTER, 1 + JITTER)
    asked = asked_seconds(failure)
    if asked is not None and asked > PAUSE_SECONDS_MAX:
        return None
    return max(asked or 0.0, min(jittered, PAUSE_SECONDS_MAX))


def asked_seconds(failure: Failure) -> float | None:
    """`retry-after-ms`, else `Retry-After` in seconds or as a date; None if it says nothing."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = failure.headers.get(name, "")
        with suppress(ValueError):
            return max(0.0, float(text) / unit)
        with suppress(ValueError, TypeError):
            at = parsedate_to_datetime(text)
            return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return None


async def pause(outlet: Outlet, seconds: float) -> bool:
    """Whether somebody still waits for the call afterwards."""
    deadline = perf_counter() + seconds
    while not outlet.client_has_left():
        left = deadline - perf_counter()
        if left <= 0:
            return True
        await asyncio.sleep(min(left, LOOK_SECONDS))
    return False
