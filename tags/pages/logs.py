"""Logs: single calls by any filter, page by page; the sum of all that match; the same as a file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from spend.ids import floor_id
from spend.log_csv import log_lines
from spend.log_filters import LogSearch
from spend.log_reader import Bounds
from spend.log_sheets import keys_named
from spend.log_stream import stream_log
from spend.log_sums import LogSum, is_summed, read_log_sum, read_names
from spend.models import CallStatus
from spend.ranges import days_of
from tags.access import visible_names
from tags.log_form import RANGES, USUAL_RANGE, Asked, LogForm
from tags.pages.call_pages import CallPage, read_call_page
from tags.pages.page import Page
from tags.pages.shown_calls import show_calls
from tags.streams import stream_answer

NAMES_SINCE = timedelta(days=7)
OBSTACLES_MAX = 3
# Of a search, what can be left out of it: the members of the form that say so, and its words.
PARTS = {
    "status": (("status",), "the status"),
    "tags": (("tag", "q"), "the tags"),
    "untagged": (("untagged",), "'Without tags'"),
    "key_ids": (("key", "q"), "the key"),
    "model_asked": (("model", "q"), "the model"),
    "cost_min": (("cost_min", "q"), "the lowest cost"),
    "cost_max": (("cost_max", "q"), "the highest cost"),
    "stream": (("stream",), "'Streamed'"),
    "flag": (("flag",), "the flag"),
    "end_user": (("end_user",), "the end user"),
    "session_id": (("session",), "the session"),
    "any_id": (("id", "q"), "the id"),
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A filter without which there are calls."""

    words: str
    address: str


class LogQuestion(Page):
    """The calls that the address asks for."""

    @cached_property
    def form(self) -> LogForm:
        given = self.request.GET.copy()
        if not given.get("range"):
            given["range"] = USUAL_RANGE
        return LogForm(given)

    @cached_property
    def visible(self) -> frozenset[str] | None:
        return visible_names(self.request.user)

    @cached_property
    def asked(self) -> Asked:
        return self.form.asked(self.now, settings.REPORT_TIME_ZONE, self.visible)

    @cached_property
    def search(self) -> LogSearch:
        """A key's name is looked up: it may have been that of several."""
        search, key = self.asked.search, self.asked.key
        if key is None:
            return search
        assert search.starts_at is not None
        assert search.ends_at is not None
        bounds = Bounds(floor_id(search.starts_at), floor_id(search.ends_at))
        return replace(search, key_ids=keys_named(key, bounds))


class LogsPage(LogQuestion):
    title = "Logs"
    template_name = "tags/logs.html"
    fragments = {"explorer": "tags/_log_explorer.html", "log": "tags/_log_rows.html"}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.form.is_valid():
            return self.show(template=self._template(), status=422)
        answer = self.show()
        if self.is_part and request.htmx.trigger == "filters":
            answer["HX-Push-Url"] = self.address()  # without what was left empty
        return answer

    def context(self) -> dict[str, Any]:
        is_right = self.form.is_valid()
        found = read_call_page(self.search, self.request.GET) if is_right else CallPage()
        names = read_names(self.now - NAMES_SINCE) if self.visible is None else None
        return {
            "form": self.form,
            "found": found,
            "calls": show_calls(found.rows, self.visible),
            "total": self._total(found) if is_right else None,
            "shown_cost": sum(call.cost for call in found.rows),
            "obstacles": self._obstacles() if is_right and not found.rows else [],
            "names": names,
            "chosen": self._chips("tag", self.request.GET.getlist("tag")),
            "statuses": CallStatus.choices,
            "asked_status": self.request.GET.get("status", ""),
            "range_text": self._range_text() if is_right else "",
            "is_live": is_right and self.asked.is_open and not self._is_further,
            "is_filtered": any(
                value for name, value in self.request.GET.items() if name != "range"
            ),
        }

    def address(self, *, without: tuple[str, ...] = (), **changes: Any) -> str:
        """The present question with members left out or changed, and no cursor."""
        kept = {
            name: [value for value in values if value]
            for name, values in self.request.GET.lists()
            if name not in (*without, "before", "after")
        }
        if kept.get("range") == [USUAL_RANGE]:
            del kept["range"]
        query = urlencode({**kept, **changes}, doseq=True)
        return f"{self.request.path}?{query}" if query else self.request.path

    @property
    def _is_further(self) -> bool:
        return "before" in self.request.GET or "after" in self.request.GET

    def _total(self, found: CallPage) -> LogSum | None:
        """None where roll-ups cannot tell, and where the page says it by itself."""
        if found.is_too_slow or not (is_summed(self.search) and self.asked.is_whole_hours):
            return None
        return read_log_sum(self.search, self.asked.covered)

    def _chips(self, name: str, values: list[str]) -> list[tuple[str, str]]:
        """Each value with the address without it."""
        named = [value for value in dict.fromkeys(values) if value.strip()]
        return [
            (value, self.address(**{name: [other for other in named if other != value]}))
            for value in named
        ]

    def _range_text(self) -> str:
        given = self.form.cleaned_data
        if given["day"]:
            return f"on {_day_text(given['day'])}"
        if given["first"] or given["last"]:
            return "in these days"
        key = "90d" if self.search.any_id else given["range"] or USUAL_RANGE
        return f"in the {RANGES[key][0].lower()}"

    def _obstacles(self) -> list[Obstacle]:
        """What stands in the way alone, the first few that are looked at."""
        return [
            Obstacle(words, self.address(without=members))
            for words, members, other in self._lesser()
            if read_call_page(other, {}).rows
        ]

    def _lesser(self) -> Iterator[tuple[str, tuple[str, ...], LogSearch]]:
        """The search without one of its parts."""
        empty, looked_at = LogSearch(), 0
        for part, (members, words) in PARTS.items():
            if getattr(self.search, part) == getattr(empty, part) or looked_at == OBSTACLES_MAX:
                continue
            looked_at += 1
            yield words, members, replace(self.search, **{part: getattr(empty, part)})


class LogsExport(LogQuestion):
    """All that match, as CSV, written while it is sent."""

    is_streamed = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.form.is_valid():
            (text, *_) = (str(error) for errors in self.form.errors.values() for error in errors)
            return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")
        first, last = days_of(self.asked.covered, settings.REPORT_TIME_ZONE)
        return stream_answer(
            request,
            log_lines(stream_log(self.search), self.visible),
            content_type="text/csv; charset=utf-8",
            filename=f"calls-{first}-{last}.csv",
        )


def _day_text(day: Any) -> str:
    return f"{day.day} {day:%b %Y}"
