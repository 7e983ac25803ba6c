"""Partitions: the log's months, made ahead."""

from django.db import connection

MONTHS_AHEAD = 3


def make_partitions() -> int:
    """Make what is missing of this month and the next ones; how many. May run any time."""
    with connection.cursor() as cursor:
        cursor.execute("select spend_make_partitions(%s)", [MONTHS_AHEAD])
        (made,) = cursor.fetchone()
    return int(made)
