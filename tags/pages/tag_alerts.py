"""Alerts of a tag: at what it tells, what it told, whether that arrived; a test of channels."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from spend.alert_words import headline, spent_text
from spend.channels import channels
from spend.deliveries import send_again, send_test
from spend.models import Alert, AlertDelivery, AlertKind, DeliveryState
from tags.access import EDIT
from tags.budget_rows import BudgetRow
from tags.pages.page import Page
from tags.pages.tag_page import TagPage

SHOWN_MAX = 50
NO_CHANNELS = "No channel is set. Name some in ALERT_WEBHOOKS, ALERT_EMAILS or ALERT_URLS."


class AlertsTab(TagPage):
    tab = "alerts"
    template_name = "tags/tag_alerts.html"

    def context(self) -> dict[str, Any]:
        budgets = [row.budget.pk for row in self.rows]
        alerts = (
            Alert.objects.filter(window__budget__in=budgets)
            .prefetch_related("deliveries")
            .order_by("-id")[:SHOWN_MAX]
        )
        forecasts = set(
            Alert.objects.filter(window__budget__in=budgets, kind=AlertKind.FORECAST)
            .filter(window__is_open=True)
            .values_list("window__budget", "window__starts_at")
        )
        return {
            **super().context(),
            "told": [(alert, headline(alert), spent_text(alert)) for alert in alerts],
            "states": [(row, marks_of(row, forecasts)) for row in self.rows],
            "channels": channels(),
            "no_channels": NO_CHANNELS,
            "given_up": DeliveryState.GIVEN_UP,
        }


class Channels(Page):
    """POST alone: a test to each channel, or one delivery again; and back where one was."""

    done_by = (EDIT,)
    seen_by = (EDIT,)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.say(self.act(**kwargs), self._back())

    def act(self) -> str:
        raise NotImplementedError

    def _back(self) -> str:
        asked = self.request.POST.get("next", "")
        is_here = url_has_allowed_host_and_scheme(asked, {self.request.get_host()})
        return asked if is_here and asked.startswith("/") else reverse("tags")


class SendTest(Channels):
    def act(self) -> str:
        told = send_test(self.actor)
        if not told:
            return NO_CHANNELS
        parts = [f"{one.channel}: {one.answer}" for one in told]
        return f"Test sent. {'; '.join(parts)}."


class SendAgain(Channels):
    def act(self, pk: UUID) -> str:
        try:
            send_again(pk)
        except AlertDelivery.DoesNotExist:
            raise Http404 from None
        return "It is sent again within seconds."


def marks_of(row: BudgetRow, forecasts: set[tuple[int, datetime]]) -> list[tuple[str, bool]]:
    """What this window tells at, in words, and whether it has. `forecasts` were told of windows
    that are known by budget and beginning."""
    limit = row.standing.limit
    marks = []
    for percent in row.budget.alert_thresholds if limit else ():
        reached = row.percent is not None and row.percent >= percent
        marks.append((f"{percent}%", reached))
    if row.budget.soft_limit is not None:
        marks.append(("soft limit", row.standing.spent >= row.budget.soft_limit))
    if limit:
        marks.append(("forecast", (row.budget.pk, row.standing.starts_at) in forecasts))
    return marks
