"""Errors outside calls: the same body, and `detail` for those who know LiteLLM's."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.defaults import page_not_found, server_error
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.response import Response
from rest_framework.views import set_rollback

from proxy.errors import Failure, answer_for
from proxy.wire import write_json


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler."""
    failure = answer_for(error)
    set_rollback()
    headers = dict(failure.headers)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    body = {**failure.body(), "detail": failure.message}
    return Response(body, status=failure.status, headers=headers)


def answer_missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: a page for browsers, JSON for everybody else."""
    if _is_browser(request):
        return page_not_found(request, exception)
    return _answer(answer_for(exception))


def answer_broken(request: HttpRequest) -> HttpResponse:
    """Django's handler500; what it was is in the log already."""
    if _is_browser(request):
        return server_error(request)
    return _answer(Failure(500, "internal_error", "Something went wrong on our side."))


def _is_browser(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _answer(failure: Failure) -> HttpResponse:
    body = write_json({**failure.body(), "detail": failure.message})
    return HttpResponse(body, status=failure.status, content_type="application/json")
