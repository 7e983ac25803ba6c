"""KeyPage: what pages of one key share; KeySummary: what it cost, on what, who changed it."""

from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Min
from django.http import Http404
from django.urls import reverse

from proxy.key_roster import Use, drawn_budgets, is_expired, read_uses, unused_text
from proxy.models import APIKey
from proxy.pages.keys import ADD, CHANGE, DELETE, TRY, VIEW
from spend.buckets import Payers
from spend.comparison import change_percent
from spend.models import Rollup
from spend.pivot import Pivot, read_pivot
from spend.range_choices import CHOICES, RangeChoice, choose_range
from spend.ranges import days_of
from spend.reports import Scope, total
from spend.standings import read_standings
from spend.status import Status
from tags.budget_rows import BudgetRow, first_shown, status_over
from tags.charts.days import StackedDays
from tags.draws import split_draws
from tags.history import read_entries
from tags.log_form import DAYS_MAX
from tags.pages.page import Page
from tags.pages.tag_charts import stack_range
from tags.pages.tag_page import named_address

TAGS_SHOWN = 8


class KeyPage(Page):
    seen_by = (VIEW,)

    @cached_property
    def key(self) -> APIKey:
        key = APIKey.objects.with_budgets().present().filter(pk=self.kwargs["pk"]).first()
        if key is None:
            raise Http404
        return key

    @property
    def name(self) -> str:
        return str(self.key)

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.name

    @cached_property
    def rows(self) -> list[BudgetRow]:
        """Its own budget, further ones, pots: the order in which a refusal names them."""
        further, pots = split_draws(self.key.draws.all())
        standings = read_standings(drawn_budgets(self.key), self.now)
        own = Payers(key_ids=(self.key.pk,))
        kinds: list[tuple[Any, Any]] = [
            (self.key.budget, "own"), *((budget, "further") for budget in further),
            *((pot, "pot") for pot in pots),
        ]  # fmt: skip
        return [BudgetRow(budget, kind, standings[budget.pk], own) for budget, kind in kinds]

    @property
    def status(self) -> Status:
        return status_over(self.rows, blocked=self.key.blocked)

    def address(self) -> str:
        return reverse("key", args=[self.key.pk])

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "key": self.key,
            "name": self.name,
            "rows": self.rows,
            "status": self.status,
            "is_expired": is_expired(self.key, self.now),
            "may_add": self.may(ADD),
            "may_change": self.may(CHANGE),
            "may_delete": self.may(DELETE),
            "may_try": self.may(TRY),
        }


class KeySummary(KeyPage):
    template_name = "proxy/key.html"
    fragments = {"figures": "proxy/_key_figures.html"}

    @cached_property
    def chosen(self) -> RangeChoice:
        asked = self.request.GET.get("range")
        return choose_range(asked, self.now, time_zone=settings.REPORT_TIME_ZONE)

    def context(self) -> dict[str, Any]:
        scope = Scope(covered=self.chosen.covered, key_id=self.key.pk)
        before = total(Scope(covered=self.chosen.before, key_id=self.key.pk))
        by_day = read_pivot(scope, "day", "model")
        shown = first_shown(self.rows)
        entries, older = read_entries(self.name, kind="key", before_id=self._cursor())
        return {
            **super().context(),
            "chosen": self.chosen,
            "range_choices": CHOICES.items(),
            "figures": by_day.total,
            "change": change_percent(by_day.total.cost, before.spent),
            "calls_change": change_percent(by_day.total.requests, before.requests),
            "shown": shown,
            "left": shown.standing.remaining,
            "unused": unused_text(self.key, self.now),
            "use": read_uses([self.key.pk], self.chosen.covered, self.now).get(self.key.pk, Use()),
            "days": self._days(by_day),
            "tag_lines": self._tags(scope),
            "entries": entries,
            "older_entries": older,
            "logs_address": self._logs(),
            "refused_address": self._logs(status="refused"),
        }

    def _days(self, by_day: Pivot) -> StackedDays | None:
        if not by_day.cells:
            return None
        first = Rollup.objects.filter(span="day", key_id=self.key.pk).aggregate(
            at=Min("starts_at")
        )["at"]
        parts: list[tuple[date | None, str, int]] = [
            (day if isinstance(day, date) else None, str(model), sums.cost)
            for (day, model), sums in by_day.cells.items()
        ]
        zone = settings.REPORT_TIME_ZONE
        return stack_range(parts, first, self.chosen.covered, zone, self._day)

    def _tags(self, scope: Scope) -> list[tuple[str, int, str, str]]:
        rows = read_pivot(scope, "tag", None).rows
        ranked = sorted(rows, key=lambda name: (-rows[name].cost, str(name)))[:TAGS_SHOWN]
        return [(str(name), rows[name].cost, named_address(str(name)), "") for name in ranked]

    def _day(self, day: date, until: date) -> str:
        return self._logs(first=day, last=until)

    def _logs(self, **asked: Any) -> str:
        """Keys are found in the log by the name that they had, or by their id."""
        first, last = days_of(self.chosen.covered, settings.REPORT_TIME_ZONE)
        named = self.key.alias or str(self.key.pk)
        query = {"key": named, "first": first, "last": last, **asked}
        if (query["last"] - query["first"]).days >= DAYS_MAX:
            query |= {"first": "", "last": "", "range": "90d"}
        return f"{reverse('logs')}?{urlencode({k: v for k, v in query.items() if v})}"

    def _cursor(self) -> int | None:
        text = self.request.GET.get("changes_before", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def key_address(key_id: UUID) -> str:
    return reverse("key", args=[key_id])
