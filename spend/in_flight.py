"""InFlight: how many calls are under way, and what they hold; the log is not read."""

from dataclasses import dataclass

from django.db import connection

from spend.money import Nanos

# A call holds on several windows; what an unknown ending would cost is the largest of its holds.
QUERY = """
    select count(*), coalesce(sum(greatest(estimate, (select max(h) from unnest(holds) h))), 0)
      from spend_reservation
"""


@dataclass(frozen=True, slots=True)
class InFlight:
    calls: int
    held: Nanos


def read_in_flight() -> InFlight:
    with connection.cursor() as cursor:
        cursor.execute(QUERY)
        calls, held = cursor.fetchone()
    return InFlight(calls, Nanos(int(held)))
