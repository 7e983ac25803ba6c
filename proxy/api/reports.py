"""The reports API: totals by tag, key, model and day, for the master key."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.api.spend_examples import ARRAY, REPORT, TAG_TOTALS, TAGS, answered
from proxy.errors import bad_request
from proxy.report_queries import ReportQuery, TotalsQuery
from spend.csv_cells import csv_text, inert
from spend.money import dollars_text, to_dollars
from spend.ranges import Range
from spend.reports import (
    ROWS_MAX,
    Line,
    Scope,
    TooManyLines,
    Totals,
    all_tag_names,
    report,
    total,
    total_of_any,
)
from tags.views import ManagementView

TOTALS = (
    "spend", "requests", "failed_requests", "prompt_tokens", "completion_tokens", "total_tokens",
)  # fmt: skip
TOO_MANY = f"This report has more than {ROWS_MAX:,} rows. A shorter time or a filter helps."


class SpendTagsView(ManagementView):
    @extend_schema(
        parameters=[TotalsQuery],
        responses={200: ARRAY},
        examples=answered(TAGS),
    )
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
    @extend_schema(
        parameters=[TotalsQuery],
        responses=OpenApiTypes.OBJECT,
        examples=answered(TAG_TOTALS),
    )
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
        examples=answered({"tag_names": ["engineering", "eu"]}),
    )
    def get(self, request: Request) -> Response:
        """Every tag that a call has carried."""
        return Response({"tag_names": all_tag_names()})


class ReportView(ManagementView):
    @extend_schema(
        parameters=[ReportQuery],
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/csv"): OpenApiTypes.STR,
        },
        examples=answered(REPORT, media_type="application/json"),
    )
    def get(self, request: Request) -> Response | HttpResponse:
        """Spend by one or two of tag, key, model and day. `total` counts each call once."""
        asked = self.read_query(ReportQuery)
        scope = Scope(
            covered=asked["covered"],
            tags=tuple(asked.get("tag", ())),
            key_alias=asked.get("key_alias"),
            model=asked.get("model"),
        )
        lines = report_lines(scope, asked["group_by"])
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


def bounds(covered: Range) -> tuple[date | datetime, date | datetime]:
    """As they were asked for: the first and the last day, or the two instants."""
    if not covered.is_whole_days:
        return covered.starts_at, covered.ends_at
    zone = ZoneInfo(settings.REPORT_TIME_ZONE)
    last = covered.ends_at - timedelta(microseconds=1)
    return covered.starts_at.astimezone(zone).date(), last.astimezone(zone).date()


def report_lines(scope: Scope, groups: list[str]) -> list[Line]:
    try:
        return report(scope, groups)
    except TooManyLines:
        raise bad_request("invalid_parameter", TOO_MANY, "start_date") from None


def tag_lines(asked: Mapping[str, Any]) -> list[tuple[str, Totals]]:
    lines = report_lines(Scope(covered=asked["covered"]), ["tag"])
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
