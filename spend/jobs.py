"""Jobs: run one at a time over all processes, and note when they last worked."""

from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError, connection

from spend.models import JobRun
from spend.rollover import database_now


def run_single(job: str, verb: Callable[[], object]) -> bool:
    """Run the verb unless another process is running it; whether it ran.

    The session lock ends with the process, so a job that was killed does not block the next one.
    """
    if not _take_lock(job):
        return False
    try:
        JobRun.objects.update_or_create(job=job, defaults={"started_at": database_now()})
        outcome = verb()
        finished_at = database_now()
        JobRun.objects.filter(job=job).update(
            finished_at=finished_at, last_success_at=finished_at, outcome=outcome
        )
    finally:
        _let_lock_go(job)
    return True


def _take_lock(job: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(7002, hashtext(%s))", [job])
        (taken,) = cursor.fetchone()
    return bool(taken)


def _let_lock_go(job: str) -> None:
    # A session that is lost, or in a broken transaction, has let it go or will; what the job met
    # is what should be told.
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_unlock(7002, hashtext(%s))", [job])
