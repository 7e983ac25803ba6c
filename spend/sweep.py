"""Sweep: settle what dead workers left behind, at the estimate, flagged."""

import logging
import time
from collections.abc import Sequence

from django.conf import settings
from django.db import connection

EXPIRE_ITEMS_MAX = 500  # one transaction's worth; a sweep runs until nothing is left

LOCKLESS = "select spend_lockless_workers()"
EXPIRE = "select spend_expire(%s::bigint[], %s, %s)"

logger = logging.getLogger(__name__)


def sweep_reservations(*, second_look_seconds: float) -> int:
    """Expire the reservations of workers without a lock, and those past their time; how many.

    A worker that reconnects is without its lock for a moment: it must be without it at two looks.
    """
    dead = look_for_lockless_workers()
    if dead and second_look_seconds:
        time.sleep(second_look_seconds)
        dead = sorted(set(dead) & set(look_for_lockless_workers()))
    return expire_reservations(dead)


def look_for_lockless_workers() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(LOCKLESS)
        (workers,) = cursor.fetchone()
    return list(workers)


def expire_reservations(dead_workers: Sequence[int]) -> int:
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                EXPIRE, [list(dead_workers), EXPIRE_ITEMS_MAX, settings.REPORT_TIME_ZONE]
            )
            (count,) = cursor.fetchone()
        total += int(count)
        if count < EXPIRE_ITEMS_MAX:
            break
    if total:
        logger.warning("reservations_expired count=%d dead_workers=%s", total, dead_workers)
    return total
