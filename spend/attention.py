"""Attention: what somebody should look at, as each app tells it; and what the books tell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.urls import reverse

from spend.models import JobRun, Price, PriceSource

PRICE_LIST_DAYS_MAX = 7
PRICES_JOB, RECOUNT_JOB = "prices", "reconcile"
JOBS_SILENT_MAX = timedelta(minutes=10)  # the sweep runs every 15 seconds


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence, and where the cure is."""

    text: str
    address: str


def notices(user: Any, now: datetime) -> Iterator[Notice]:
    """Of the price list and of the jobs, to those who may see them."""
    jobs = {run.job: run for run in JobRun.objects.all()}
    runs = {job: run.last_success_at for job, run in jobs.items()}
    if user.has_perm("spend.view_price"):
        loaded_at = price_list_loaded_at(runs)
        days = (now - loaded_at).days if loaded_at else 0
        if days > PRICE_LIST_DAYS_MAX:
            address = f"{reverse('admin:spend_price_changelist')}?source=catalogue"
            yield Notice(f"The price list is {days} days old.", address)
    if user.has_perm("spend.view_jobrun"):
        recount = jobs.get(RECOUNT_JOB)
        if recount is not None and recount.outcome and not recount.outcome.get("ok", True):
            yield Notice("The books do not agree with the log.", reverse("books"))
        last_at = max(filter(None, runs.values()), default=None)
        if last_at is not None and now - last_at > JOBS_SILENT_MAX:
            minutes = (now - last_at) // timedelta(minutes=1)
            text = f"No job has run for {minutes} minutes: is Celery's beat running?"
            yield Notice(text, reverse("admin:spend_jobrun_changelist"))


def price_list_loaded_at(runs: Mapping[str, datetime | None]) -> datetime | None:
    """When the list was last compared with the prices, or last brought a new one."""
    if loaded_at := runs.get(PRICES_JOB):
        return loaded_at
    listed = Price.objects.filter(source=PriceSource.CATALOGUE)
    newest: datetime | None = listed.aggregate(at=Max("created_at"))["at"]
    return newest
