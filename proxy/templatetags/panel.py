"""The panel on the admin's front page: how the running system stands, in seven short queries."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import template

from proxy.unpriced import unpriced_models
from spend.attention import PRICE_LIST_DAYS_MAX, RECOUNT_JOB, price_list_loaded_at
from spend.in_flight import read_in_flight
from spend.models import JobRun
from spend.rollover import database_now
from tags.over_budget import tags_over_budget

register = template.Library()

NAMES_SHOWN = 8


@register.inclusion_tag("admin/_panel.html", takes_context=True)
def panel(context: Mapping[str, Any]) -> dict[str, Any]:
    """Each part only for those who may see the rows that it is about."""
    may = context["user"].has_perm
    now = database_now()
    parts: dict[str, Any] = {"names_shown": NAMES_SHOWN}
    if may("tags.view_tag"):
        parts["over"] = tags_over_budget(now, count_max=NAMES_SHOWN + 1)
    if may("spend.view_reservation"):
        parts["in_flight"] = read_in_flight()
    if may("proxy.view_deployment"):
        parts["unpriced"] = unpriced_models(now)
    if may("spend.view_jobrun"):
        parts["jobs"] = jobs = list(JobRun.objects.order_by("job"))
        parts["books"] = next((run.outcome for run in jobs if run.job == RECOUNT_JOB), None) or {}
    if may("spend.view_price"):
        runs = {run.job: run.last_success_at for run in parts.get("jobs", ())}
        parts["list_loaded_at"] = loaded_at = price_list_loaded_at(runs)
        age = now - loaded_at if loaded_at else None
        parts["list_days"] = age.days if age else None
        parts["list_is_old"] = age is not None and age > timedelta(days=PRICE_LIST_DAYS_MAX)
    return parts
