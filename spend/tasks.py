"""Celery tasks: each one wraps a verb that lives with its noun, and runs one at a time."""

from celery import shared_task
from django.conf import settings

from spend import alerts, deliveries, partitions, prices, rollover, sweep
from spend.jobs import run_single
from spend.reconcile import reconcile
from spend.retention import retain_log as drop_old_months

SECOND_LOOK_SECONDS = 5.0
RECOUNT_SECONDS_MAX = 3_600


@shared_task  # type: ignore[untyped-decorator]
def roll_over_budgets() -> None:
    run_single("rollover", rollover.roll_over_idle_budgets)


@shared_task  # type: ignore[untyped-decorator]
def sweep_reservations() -> None:
    run_single("sweep", _sweep)


@shared_task  # type: ignore[untyped-decorator]
def make_partitions() -> None:
    run_single("partitions", partitions.make_partitions)


@shared_task  # type: ignore[untyped-decorator]
def load_prices() -> None:
    run_single("prices", prices.load_catalogue)


@shared_task  # type: ignore[untyped-decorator]
def raise_alerts() -> None:
    run_single("alerts", alerts.raise_alerts)


@shared_task  # type: ignore[untyped-decorator]
def raise_forecasts() -> None:
    run_single("forecasts", alerts.raise_forecasts)


@shared_task  # type: ignore[untyped-decorator]
def deliver_alerts() -> None:
    run_single("deliveries", deliveries.deliver_alerts)


@shared_task(time_limit=RECOUNT_SECONDS_MAX)  # type: ignore[untyped-decorator]
def reconcile_books() -> None:
    run_single("reconcile", lambda: reconcile().as_json())


@shared_task(time_limit=RECOUNT_SECONDS_MAX)  # type: ignore[untyped-decorator]
def retain_log() -> None:
    run_single("retention", lambda: drop_old_months(settings.LOG_RETENTION_MONTHS))


def _sweep() -> int:
    return sweep.sweep_reservations(second_look_seconds=SECOND_LOOK_SECONDS)
