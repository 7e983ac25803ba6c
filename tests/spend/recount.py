"""Recount: the books reconciled, for tests; what does not add up, in words.

Tests are witnesses too: they know which calls were admitted, which the books alone cannot tell.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from spend.reconcile import EVER, reconcile

LOST_CALLS = """
    select id from unnest(%s::uuid[]) as a(id)
     where not exists (select 1 from spend_reservation r where r.id = a.id)
       and not exists (select 1 from spend_spendlog l where l.id = a.id)"""


def recount(*, admitted: Iterable[UUID] = ()) -> list[str]:
    """Nothing when all is well. `admitted` are the calls that somebody was told were admitted."""
    found = [
        f"{difference.kind}: "
        + ", ".join(f"{key}={value}" for key, value in difference.says.items())
        for difference in reconcile(since=EVER).differences
    ]
    return found + [f"lost_call: id={call_id}" for call_id in lost(admitted)]


def lost(admitted: Iterable[UUID]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(LOST_CALLS, [list(admitted)])
        return [call_id for (call_id,) in cursor.fetchall()]
