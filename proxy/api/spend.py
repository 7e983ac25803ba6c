"""The spend API: rows of the log, totals by tag, reports. A virtual key reads its own rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.calculation import calculate
from proxy.errors import bad_request, not_found
from proxy.key_cards import MASTER
from proxy.log_answers import log_detail, log_objects
from proxy.log_queries import LogQuery, ReportQuery, TotalsQuery, search_of
from proxy.permissions import HasKey
from spend.csv_cells import csv_text, inert
from spend.log_search import (
    LogPage,
    SearchTooSlow,
    find_row,
    is_running,
    search_log,
)
from spend.money import dollars_text, to_dollars
from spend.ranges import Range
from spend.reports import (
    Line,
    Scope,
    Totals,
    all_tag_names,
    report,
    total,
    total_of_any,
)
from tags.names import BadTag, clean_tags
from tags.views import ManagementView

TOTALS = (
    "spend", "requests", "failed_requests", "prompt_tokens", "completion_tokens", "total_tokens",
)  # fmt: skip
CALCULATE = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hello"}],
    "tags": ["engineering"],
}
TOO_SLOW = "This search takes too long. A shorter time or one more filter helps."


class OwnRowsView(ManagementView):
    """Any key; a virtual one sees its own rows, and those of others are not there."""

    permission_classes = (HasKey,)
    writes_milliseconds = True

    @property
    def seen_by(self) -> UUID | None:
        caller: Any = self.request.user
        return None if caller.is_master else caller.key.id

    def search(self, *, counts: bool) -> tuple[Mapping[str, Any], LogPage]:
        asked = self.read_query(LogQuery)
        search = search_of(asked, seen_by=self.seen_by)
        with in_time():
            page = search_log(
                search,
                size=asked["page_size"],
                after=asked.get("cursor"),
                place=(asked.get("page", 1) - 1) * asked["page_size"],
                counts=counts,
            )
        return asked, page


class LogArrayView(OwnRowsView):
    @extend_schema(parameters=[LogQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Rows of the log as an array; `x-next-cursor` says where it goes on."""
        _, page = self.search(counts=False)
        headers = {"x-next-cursor": str(page.next)} if page.next else {}
        return Response(log_objects(page.rows), headers=headers)


class LogPageView(OwnRowsView):
    @extend_schema(parameters=[LogQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Rows of the log with how many there are, counted to 10,000."""
        asked, page = self.search(counts=True)
        found, size = page.total or 0, asked["page_size"]
        return Response(
            {
                "data": log_objects(page.rows),
                "total": found,
                "total_is_capped": page.total_is_capped,
                "page": asked.get("page", 1),
                "page_size": size,
                "total_pages": -(-found // size),
                "next_cursor": page.next,
            }
        )


class LogRowView(OwnRowsView):
    @extend_schema(
        operation_id="spend_log_retrieve",
        responses={200: OpenApiTypes.OBJECT, 202: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, call_id: str) -> Response:
        """One row by our id, or the newest by the id of an upstream's answer; 202 while it runs.

        Beside what lists tell: the price that it was billed by, and the arithmetic of its cost.
        """
        # Asked in this order, a call that ends in between is found in the log.
        runs = is_running(call_id, seen_by=self.seen_by)
        row = find_row(call_id, seen_by=self.seen_by)
        if row is not None:
            return Response(log_detail(row))
        if runs:
            return Response({"status": "pending"}, status=202)
        raise not_found(f"There is no call '{call_id}'.", "id")


class SpendTagsView(ManagementView):
    @extend_schema(parameters=[TotalsQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What each tag came to, as a list. A call with two tags counts under both."""
        asked = self.read_query(TotalsQuery)
        return Response(
            [
                {
                    "individual_request_tag": name,
                    "log_count": totals.calls,
                    "total_spend": to_dollars(totals.spent),
                }
                for name, totals in tag_lines(asked)
            ]
        )


class GlobalSpendTagsView(ManagementView):
    @extend_schema(parameters=[TotalsQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What each tag came to, and what they came to together, each call once."""
        asked = self.read_query(TotalsQuery)
        distinct = total_of_any(asked["covered"], asked.get("tags"))
        return Response(
            {
                "spend_per_tag": [
                    {"name": name, "spend": to_dollars(totals.spent), "log_count": totals.calls}
                    for name, totals in tag_lines(asked)
                ],
                "distinct_total": {
                    "spend": to_dollars(distinct.spent),
                    "log_count": distinct.calls,
                },
                "overlapping": True,
            }
        )


class AllTagNamesView(ManagementView):
    @extend_schema(
        responses=OpenApiTypes.OBJECT,
        examples=[OpenApiExample("names", {"tag_names": ["engineering", "eu"]})],
    )
    def get(self, request: Request) -> Response:
        """Every tag that a call has carried."""
        return Response({"tag_names": all_tag_names()})


class ReportView(ManagementView):
    @extend_schema(parameters=[ReportQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response | HttpResponse:
        """Spend by one or two of tag, key, model and day. `total` counts each call once."""
        asked = self.read_query(ReportQuery)
        scope = Scope(
            covered=asked["covered"],
            tags=tuple(asked.get("tag", ())),
            key_alias=asked.get("key_alias"),
            model=asked.get("model"),
        )
        lines = report(scope, asked["group_by"])
        if asked["format"] == "csv":
            return HttpResponse(report_csv(lines, asked["group_by"]), content_type="text/csv")
        start, end = bounds(asked["covered"])
        return Response(
            {
                "group_by": asked["group_by"],
                "start_date": start,
                "end_date": end,
                "time_zone": settings.REPORT_TIME_ZONE,
                "overlapping": "tag" in asked["group_by"],
                "rows": [group_members(line) | totals_members(line.totals) for line in lines],
                "total": totals_members(total(scope)),
            }
        )


class CalculateView(ManagementView):
    permission_classes = (HasKey,)

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses=OpenApiTypes.OBJECT,
        examples=[OpenApiExample("a call", CALCULATE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """What a call costs, or would cost and at most; which budgets it would draw on."""
        caller: Any = request.user
        body: Any = request.data
        given = body.get("tags", [])
        if not isinstance(given, list):
            raise bad_request("invalid_parameter", "tags must be a list of strings", "tags")
        try:
            tags = clean_tags(given)
        except BadTag as error:
            raise bad_request("invalid_tag", f"tags: {error}", "tags") from None
        return Response(calculate(body, tags, caller.key or MASTER))


def bounds(covered: Range) -> tuple[date | datetime, date | datetime]:
    """As they were asked for: the first and the last day, or the two instants."""
    if not covered.is_whole_days:
        return covered.starts_at, covered.ends_at
    zone = ZoneInfo(settings.REPORT_TIME_ZONE)
    last = covered.ends_at - timedelta(microseconds=1)
    return covered.starts_at.astimezone(zone).date(), last.astimezone(zone).date()


def tag_lines(asked: Mapping[str, Any]) -> list[tuple[str, Totals]]:
    lines = report(Scope(covered=asked["covered"]), ["tag"])
    wanted = asked.get("tags")
    named = [(line.group["tag"], line.totals) for line in lines if line.group["tag"] is not None]
    return [(name, totals) for name, totals in named if wanted is None or name in wanted]


def group_members(line: Line) -> dict[str, Any]:
    if "key" not in line.group:
        return line.group
    return {**line.group, "key_alias": line.key_alias}


def totals_members(totals: Totals) -> dict[str, Any]:
    return {
        "spend": to_dollars(totals.spent),
        "requests": totals.requests,
        "failed_requests": totals.failed,
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "total_tokens": totals.prompt_tokens + totals.completion_tokens,
    }


def report_csv(lines: list[Line], groups: list[str]) -> str:
    """With a header; money as exact text."""
    names = [*groups, *(["key_alias"] if "key" in groups else [])]
    rows = [[*names, *TOTALS]]
    for line in lines:
        told = group_members(line)
        members = totals_members(line.totals) | {"spend": dollars_text(line.totals.spent)}
        rows.append([*(inert(told[name]) for name in names), *(str(members[n]) for n in TOTALS)])
    return csv_text(rows)


@contextmanager
def in_time() -> Iterator[None]:
    try:
        yield
    except SearchTooSlow:
        raise bad_request("invalid_parameter", TOO_SLOW, "start_date") from None
