"""Tabs of a tag: summary, breakdown, history; and the tag that is found by its name."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from spend.alert_words import headline
from spend.breakdown import Breakdown, Part
from spend.comparison import change_percent
from spend.models import Alert, DeliveryState
from spend.reports import Line, Scope, TooManyLines, Totals, report, total
from tags.access import sees_all, visible_tags
from tags.budget_rows import BudgetRow, mark_forecast
from tags.history import read_closed_windows, read_entries
from tags.pages.page import Page
from tags.pages.tag_charts import burn_chart, burn_label, burn_rows, day_chart, name_of
from tags.pages.tag_logs import LogsTab
from tags.pages.tag_page import TagPage, named_address, was_seen
from tags.tag_summary import TagSummary, read_seen_summary, read_tag_summary

STACKS = ("model", "key")
GROUPS = {"model": "Model", "key": "Key", "day": "Day", "tag": "Seen with"}
LINES_MAX = 1_000
SHOWN_MAX = 8
ALERTS_SHOWN = 2


class SummaryTab(TagPage):
    tab = "summary"
    template_name = "tags/tag_summary.html"
    fragments = {"figures": "tags/_tag_figures.html"}

    def context(self) -> dict[str, Any]:
        asked = self.request.GET.get("by")
        stack = asked if asked in STACKS else STACKS[0]
        self.read = read = self._read(stack)
        found, window = read.breakdown, read.window
        before = found.before
        charts = {
            "days": day_chart(found, self.chosen.covered, settings.REPORT_TIME_ZONE, self._day),
        }
        if window is not None:
            charts["burn"] = burn_chart(window, self.now)
            charts["burn_label"] = burn_label(window, self.now)
            charts["burn_rows"] = burn_rows(window)
        return {
            **super().context(),
            **charts,
            "summary": read,
            "window": window,
            "figures": found.totals,
            "change": change_percent(found.totals.spent, before.spent),
            "calls_change": change_percent(found.totals.requests, before.requests),
            "stack": stack,
            "stacks": STACKS,
            "lists": self._lists(found),
            "left": None if window is None else window.row.standing.remaining,
            "logs_address": self.address("logs"),
            "refused_address": self.address("logs", status="refused", range="today"),
            "breakdown_address": self.address("breakdown"),
            "last_alerts": self._last_alerts(),
        }

    def judged_rows(self) -> list[BudgetRow]:
        window = self.read.window
        if window is None:
            return self.rows
        return mark_forecast(self.rows, window.row, is_over=window.is_forecast_over)

    def _last_alerts(self) -> list[tuple[str, Alert]]:
        """The newest, each with what it says; `unsent` counts deliveries that are not there yet."""
        if self.tag is None:
            return []
        unsent = ~Q(deliveries__state=DeliveryState.DELIVERED) & Q(deliveries__isnull=False)
        alerts = Alert.objects.filter(window__budget__in=[row.budget.pk for row in self.rows])
        counted = alerts.annotate(unsent=Count("deliveries", filter=unsent)).order_by("-id")
        return [(headline(alert), alert) for alert in counted[:ALERTS_SHOWN]]

    def _read(self, stack: Any) -> TagSummary:
        covered, before = self.chosen.covered, self.chosen.before
        if self.tag is None:
            return read_seen_summary(self.name, covered, before, stack=stack)
        return read_tag_summary(
            self.tag, self.rows, covered, before, stack=stack, today=self.today, now=self.now
        )

    def _day(self, day: date, until: date) -> str:
        if day == until:
            return self.address("logs", day=day.isoformat())
        query = {"tag": self.name, "first": day, "last": until}
        return f"{reverse('logs')}?{urlencode(query)}"

    def _lists(self, found: Breakdown) -> list[Any]:
        """Heading, noun, rows for a list of bars. Shares of other tags overlap."""
        spent = found.totals.spent
        models = [(name_of(part), part.totals.spent, "", "") for part in found.models]
        keys = [(name_of(part), part.totals.spent, "", "") for part in found.keys]
        seen = [
            (part.name, part.totals.spent, named_address(part.name), _share(part, spent))
            for part in found.seen_with
            if self.may_name(part.name)
        ]
        lists = [("Models", "Model", models), ("Keys", "Key", keys), ("Seen with", "Tag", seen)]
        return [
            (title, noun, rows[:SHOWN_MAX], max(0, len(rows) - SHOWN_MAX))
            for title, noun, rows in lists
        ]


class BreakdownTab(TagPage):
    """One line for each model, key, day or other tag; each call once, but under other tags."""

    tab = "breakdown"
    template_name = "tags/tag_breakdown.html"
    fragments = {"breakdown": "tags/_tag_breakdown.html"}

    def context(self) -> dict[str, Any]:
        asked = self.request.GET.get("by")
        by = asked if asked in GROUPS else "model"
        scope = Scope(covered=self.chosen.covered, tags=(self.name,))
        whole, lines = total(scope), self._lines(scope, by)
        return {
            **super().context(),
            "by": by,
            "groups": GROUPS,
            "groups_title": GROUPS[by],
            "lines": [self._shown(line, by) for line in lines[:LINES_MAX]],
            "more": max(0, len(lines) - LINES_MAX),
            "total": whole,
            "total_average": _average(whole),
        }

    def _lines(self, scope: Scope, by: str) -> list[Line]:
        """Days with the newest first."""
        try:
            lines = report(scope, [by])
        except TooManyLines:
            raise Http404 from None
        if by == "day":
            return lines[::-1]
        if by != "tag":
            return lines
        named = ((line, line.group["tag"]) for line in lines)
        return [line for line, tag in named if tag != self.name and self.may_name(tag)]

    def _shown(self, line: Line, by: str) -> dict[str, Any]:
        value, address = line.group[by], ""
        if by == "key":
            value = line.key_alias or f"key ...{str(value)[-4:]}"
        elif by == "day":
            address = self._day(value)
            value = f"{value.day} {value:%b %Y}"
        elif by == "tag":
            address = named_address(value)
        found = line.totals
        return {"name": value, "address": address, "totals": found, "average": _average(found)}

    def _day(self, day: date) -> str:
        return self.address("logs", day=day.isoformat())


class HistoryTab(TagPage):
    """Every change by anybody, and every window that has closed; each list by its own cursor."""

    tab = "history"
    template_name = "tags/tag_history.html"

    def context(self) -> dict[str, Any]:
        entries, older_entries = read_entries(self.name, before_id=self._cursor("changes_before"))
        labels = {row.budget.pk: row.label for row in self.rows}
        windows, older_windows = read_closed_windows(
            list(labels), before_id=self._cursor("windows_before")
        )
        return {
            **super().context(),
            "entries": entries,
            "older_entries": older_entries,
            "windows": [(window, labels[window.budget_id]) for window in windows],
            "older_windows": older_windows,
        }

    def _cursor(self, name: str) -> int | None:
        text = self.request.GET.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class UseTag(TagPage):
    """How a call carries it, to copy; in a dialog or as a page of its own."""

    tab = "summary"
    template_name = "tags/tag_action.html"
    fragments = {"dialog": "tags/_tag_use.html"}

    def context(self) -> dict[str, Any]:
        part = self.fragments["dialog"]
        return {**super().context(), "part": part, "back": self.address("summary")}


class NamedTag(Page):
    """By its name: on to the tag, or to what calls have said of one that nobody has made."""

    tabs = {"summary": SummaryTab, "breakdown": BreakdownTab, "logs": LogsTab}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = request.GET.get("name", "").replace("\0", "")
        tag = visible_tags(request.user).filter(name=name).only("pk").first()
        if tag is not None:
            return HttpResponseRedirect(reverse("tag-summary", args=[tag.pk]))
        if not sees_all(request.user) or not was_seen(name):
            raise Http404
        view = self.tabs.get(request.GET.get("tab", ""), SummaryTab)
        return view.as_view()(request, name=name)


def _average(found: Totals) -> int | None:
    return found.spent // found.requests if found.requests else None


def _share(part: Part, whole: int) -> str:
    """Of the tag's own spend, rounded down."""
    return f"{100 * part.totals.spent // whole}% of its spend" if whole > 0 else ""
