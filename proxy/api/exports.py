"""The exports: rows of the log, and the ledger as a FOCUS bill; streamed, for the master key."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request

from proxy.api.reports import bounds
from proxy.api.spend import in_time
from proxy.log_export import as_csv, as_json_lines
from proxy.log_queries import ExportQuery, search_of
from proxy.report_queries import FocusQuery
from spend.focus import read_charges
from spend.focus_rows import focus_lines
from spend.log_stream import stream_log
from tags.streams import StreamedAnswer, stream_answer
from tags.views import ManagementView

CSV, JSON_LINES = "text/csv", "application/x-ndjson"
UTF_8 = "; charset=utf-8"
ROW = (
    '{"id":"01a1f86a-a158-7c2a-9d41-5b1f6f0d2a77","startTime":"2026-11-20T10:05:00.120Z",'
    '"spend":0.002,"request_tags":["engineering","eu"]}'
)
LINE = (
    "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency\r\n0.002,tollgate,Tollgate,USD"
)


class ExportView(ManagementView):
    @extend_schema(
        parameters=[ExportQuery],
        responses={(200, CSV): OpenApiTypes.STR, (200, JSON_LINES): OpenApiTypes.STR},
        examples=[OpenApiExample("a line", ROW, response_only=True, media_type=JSON_LINES)],
    )
    def get(self, request: Request) -> StreamedAnswer:
        """All rows of the log that the filters find, in the order of time, as they are read.

        CSV has a header, times and money as exact text, and tags with commas between them; texts
        that a spreadsheet would run get a leading quote. Lines of JSON are the rows of /spend/logs.
        """
        asked = self.read_query(ExportQuery)
        rows = stream_log(search_of(asked, seen_by=None))
        is_csv = asked["format"] == "csv"
        with in_time():
            return stream_answer(
                request._request,
                as_csv(rows) if is_csv else as_json_lines(rows),
                content_type=(CSV if is_csv else JSON_LINES) + UTF_8,
                filename=f"spend.{asked['format']}",
            )


class FocusView(ManagementView):
    @extend_schema(
        parameters=[FocusQuery],
        responses={(200, CSV): OpenApiTypes.STR},
        examples=[OpenApiExample("a charge", LINE, response_only=True, media_type=CSV)],
    )
    def get(self, request: Request) -> StreamedAnswer:
        """The ledger as a FOCUS bill: a row per day, tag set, key, deployment, price and meter.

        A call with two tags is in one row, with both in `Tags`, so `BilledCost` adds up to the
        ledger; `x_RequestCount` counts each call in one row too.
        """
        asked = self.read_query(FocusQuery)
        with in_time():
            return stream_answer(
                request._request,
                focus_lines(read_charges(asked["covered"]), asked["version"]),
                content_type=CSV + UTF_8,
                filename=focus_name(asked),
            )


def focus_name(asked: Mapping[str, Any]) -> str:
    start, end = bounds(asked["covered"])
    return f"focus-{asked['version']}-{start}-{end}.csv"
