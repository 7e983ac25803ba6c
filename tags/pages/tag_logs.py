"""Logs of a tag: its calls by cursor, never by number, never counted."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from spend.log_question import parse_id
from spend.log_search import LogPage, LogSearch, SearchTooSlow, search_log
from spend.models import CallStatus, SpendLog
from spend.ranges import Range
from spend.windows import midnight
from tags.access import visible_names
from tags.pages.shown_calls import show_calls
from tags.pages.tag_page import TagPage

PAGE_ROWS = 50


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
        calls, newer, older, is_too_slow = self._read(search)
        return {
            **super().context(),
            "calls": show_calls(calls, visible_names(self.request.user), beside=self.name),
            "newer": newer,
            "older": older,
            "is_too_slow": is_too_slow,
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

    def _read(self, search: LogSearch) -> tuple[list[SpendLog], UUID | None, UUID | None, bool]:
        """Rows with the newest first, and the cursors of the pages around them."""
        before, after = (parse_id(self.request.GET.get(name)) for name in ("before", "after"))
        try:
            if after is not None:
                found = self._page(search, after, is_ascending=True)
                rows = list(found.rows)[::-1]
                newer = rows[0].id if rows and found.next is not None else None
                return rows, newer, rows[-1].id if rows else None, False
            found = self._page(search, before)
        except SearchTooSlow:
            return [], None, None, True
        rows = list(found.rows)
        newer = rows[0].id if rows and before is not None else None
        return rows, newer, found.next, False

    def _page(
        self, search: LogSearch, after: UUID | None, *, is_ascending: bool = False
    ) -> LogPage:
        return search_log(replace(search, is_ascending=is_ascending), size=PAGE_ROWS, after=after)
