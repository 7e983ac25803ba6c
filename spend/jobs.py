"""Jobs: run one at a time over all processes, and note when they last worked."""

from collections.abc import Callable

from django.db import connection, transaction
from django.utils import timezone

from spend.models import JobRun


def run_single(job: str, verb: Callable[[], object]) -> bool:
    """Run the verb unless another process is running it; whether it ran.

    The session lock ends with the process, so a job that was killed does not block the next one.
    """
    if not _take_lock(job):
        return False
    try:
        started_at = timezone.now()
        JobRun.objects.update_or_create(job=job, defaults={"started_at": started_at})
        outcome = verb()
        finished_at = timezone.now()
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
    # After a failed statement the connection may be inside a broken transaction.
    if connection.in_atomic_block and transaction.get_connection().needs_rollback:
        return
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_unlock(7002, hashtext(%s))", [job])
