"""Errors of management paths: the same body, and `detail` for those who know LiteLLM's."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.response import Response
from rest_framework.views import set_rollback

from proxy.errors import answer_for


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler."""
    failure = answer_for(error)
    set_rollback()
    headers = dict(failure.headers)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    body = {**failure.body(), "detail": failure.message}
    return Response(body, status=failure.status, headers=headers)
