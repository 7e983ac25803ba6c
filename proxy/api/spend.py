"""The spend API: rows of the log, and what a call would cost. A key reads its own rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.api.spend_examples import (
    ARRAY,
    CALCULATE,
    CALCULATED,
    DETAIL,
    OF_USAGE,
    PAGE,
    ROW,
    answered,
)
from proxy.calculation import calculate
from proxy.errors import bad_request, not_found
from proxy.key_cards import MASTER
from proxy.log_answers import log_detail, log_objects
from proxy.log_queries import LogQuery, search_of
from proxy.permissions import HasKey
from spend.log_search import (
    LogPage,
    SearchTooSlow,
    find_row,
    is_running,
    search_log,
)
from tags.names import BadTag, clean_tags
from tags.views import ManagementView

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
    @extend_schema(parameters=[LogQuery], responses={200: ARRAY}, examples=answered([[ROW]]))
    def get(self, request: Request) -> Response:
        """Rows of the log as an array; `x-next-cursor` says where it goes on."""
        _, page = self.search(counts=False)
        headers = {"x-next-cursor": str(page.next)} if page.next else {}
        return Response(log_objects(page.rows), headers=headers)


class LogPageView(OwnRowsView):
    @extend_schema(parameters=[LogQuery], responses=OpenApiTypes.OBJECT, examples=answered(PAGE))
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
        examples=[
            *answered(DETAIL, statuses=["200"]),
            *answered({"status": "pending"}, "running", statuses=["202"]),
        ],
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


class CalculateView(ManagementView):
    permission_classes = (HasKey,)

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses=OpenApiTypes.OBJECT,
        examples=[
            OpenApiExample("a call", CALCULATE, request_only=True),
            OpenApiExample("a usage", OF_USAGE, request_only=True),
            *answered(CALCULATED),
        ],
    )
    def post(self, request: Request) -> Response:
        """What a call costs, or would cost and at most; which budgets it would draw on."""
        caller: Any = request.user
        body: Any = request.data
        given = body.get("tags")
        given = [] if given is None else given
        if not isinstance(given, list):
            raise bad_request("invalid_parameter", "tags must be a list of strings", "tags")
        try:
            tags = clean_tags(given)
        except BadTag as error:
            raise bad_request("invalid_tag", f"tags: {error}", "tags") from None
        return Response(calculate(body, tags, caller.key or MASTER))


@contextmanager
def in_time() -> Iterator[None]:
    try:
        yield
    except SearchTooSlow:
        raise bad_request("invalid_parameter", TOO_SLOW, "start_date") from None
