"""Outage: what a browser is told when the database is away, or too slow for what was asked."""

from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from psycopg.errors import QueryCanceled

RETRY_SECONDS = 5
AWAY = (
    "The books cannot be reached, so calls are refused rather than sent uncounted. Nothing is"
    " lost. This page tries again by itself."
)
TOO_SLOW = "That took too long. Take a shorter range, or fewer filters; the books are unharmed."


class OutageMiddleware:
    """Nothing is read for these answers: neither who is asking nor what was chosen before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OperationalError | InterfaceError) or not is_page(request):
            return None
        if isinstance(error.__cause__, QueryCanceled):
            return answer_outage(request, TOO_SLOW, title="Too slow", retries=False)
        retries = request.method == "GET"
        return answer_outage(request, AWAY, title="The books cannot be reached", retries=retries)


def is_page(request: HttpRequest) -> bool:
    """Whether a browser asks, for a page or for a part of one."""
    accepted = request.headers.get("Accept", "")
    return "text/html" in accepted or request.headers.get("HX-Request") == "true"


def answer_outage(
    request: HttpRequest, text: str, *, title: str, retries: bool = False
) -> HttpResponse:
    """503. A part of a page gets the sentence alone, which is shown beside what was there."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(text, status=503, content_type="text/plain")
    seconds = RETRY_SECONDS if retries else None
    page = render_to_string(
        "tags/outage.html", {"title": title, "text": text, "retry_seconds": seconds}
    )
    return HttpResponse(page, status=503, headers={"Cache-Control": "no-store"})
