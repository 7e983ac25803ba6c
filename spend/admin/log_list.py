"""LogList: the list of the spend log, paged by keyset instead of numbers."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from spend.log_question import RANGE, BadSearch, parse_id, parse_question
from spend.log_search import SearchTooSlow
from spend.log_sheets import ROWS, LogSheet, read_log_sheet
from spend.models import CallStatus
from spend.rollover import database_now

CURSORS = ("before", "after")
TOO_SLOW = (
    "That is too much to search at once. Take a shorter time, or add a tag or a key to the search."
)
RANGE_NAMES = (
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
)


class RangeFilter(SimpleListFilter):
    """There is no `All`: each query has its bounds."""

    title = "time"
    parameter_name = "range"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return RANGE_NAMES

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset

    def choices(self, changelist: Any) -> Any:
        chosen = self.value() or RANGE
        for name, label in RANGE_NAMES:
            link = changelist.get_query_string({self.parameter_name: name})
            yield {"selected": name == chosen, "query_string": link, "display": label}


class StatusFilter(SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return CallStatus.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class LogList(ChangeList):
    """`?before=` and `?after=` hold the id of the row at the edge of the page that was left."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Only makes the filters; the rows come from read_log_sheet."""
        self.cursors: dict[str, UUID | None] = {}
        for name in CURSORS:
            self.cursors[name] = parse_id(self.params.pop(name, None))
            self.filter_params.pop(name, None)
        return super().get_queryset(request, *args, **kwargs)

    def get_results(self, request: HttpRequest) -> None:
        page = self._read(request)
        self.page = page
        self.result_list: Any = list(page.rows)
        self.result_count = len(page.rows)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = False
        self.paginator = Paginator(self.result_list, ROWS)

    @property
    def newer_link(self) -> str | None:
        if not self.page.has_newer:
            return None
        rows = self.page.rows
        return self.get_query_string({"after": rows[0].id} if rows else {})

    @property
    def older_link(self) -> str | None:
        if not (self.page.has_older and self.page.rows):
            return None
        return self.get_query_string({"before": self.page.rows[-1].id})

    @property
    def first_link(self) -> str:
        return self.get_query_string()

    def _read(self, request: HttpRequest) -> LogSheet:
        try:
            question = parse_question(
                self.query, span=self.params.get("range"), status=self._status()
            )
            return read_log_sheet(question, now=database_now(), **self.cursors)
        except BadSearch as error:
            messages.warning(request, str(error))
        except SearchTooSlow:
            messages.warning(request, TOO_SLOW)
        return LogSheet((), has_newer=False, has_older=False)

    def _status(self) -> str | None:
        status = self.params.get("status")
        return status if status in CallStatus.values else None
