"""Logs of a tag: its calls by cursor, never by number, never counted."""

from datetime import date, timedelta
from typing import Any

from django.conf import settings

from spend.log_filters import LogSearch
from spend.models import CallStatus
from spend.ranges import Range
from spend.windows import midnight
from tags.access import visible_names
from tags.pages.call_pages import read_call_page
from tags.pages.shown_calls import show_calls
from tags.pages.tag_page import TagPage


class LogsTab(TagPage):
    """`day` narrows the range to one day of the reports' zone, `status` to one kind of ending."""

    tab = "logs"
    template_name = "tags/tag_logs.html"
    fragments = {"calls": "tags/_tag_calls.html"}

    def context(self) -> dict[str, Any]:
        status = self.request.GET.get("status", "")
        search = LogSearch(
            starts_at=self.covered.starts_at,
            ends_at=self.covered.ends_at,
            tags=(self.name,),
            status=status if status in CallStatus.values else None,
        )
        found = read_call_page(search, self.request.GET)
        return {
            **super().context(),
            "calls": show_calls(found.rows, visible_names(self.request.user), beside=self.name),
            "found": found,
            "statuses": CallStatus.choices,
            "asked_status": search.status,
            "day": self.day,
        }

    @property
    def day(self) -> date | None:
        try:
            return date.fromisoformat(self.request.GET.get("day", ""))
        except ValueError:
            return None

    @property
    def covered(self) -> Range:
        if self.day is None or not 1970 < self.day.year < 2199:
            return self.chosen.covered
        zone = settings.REPORT_TIME_ZONE
        return Range(midnight(self.day, zone), midnight(self.day + timedelta(days=1), zone), True)
