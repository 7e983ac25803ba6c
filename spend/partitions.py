"""Partitions: the log's months, made ahead; and behind, for calls that are brought in later."""

from datetime import datetime

from django.db import connection

MONTHS_AHEAD = 3


def make_partitions(since: datetime | None = None) -> int:
    """Make what is missing of this month, or that of `since`, and of the next ones; how many.

    May run any time.
    """
    with connection.cursor() as cursor:
        cursor.execute("select spend_make_partitions(%s, %s)", [MONTHS_AHEAD, since])
        (made,) = cursor.fetchone()
    return int(made)
