"""Errors: whatever went wrong -> status, headers and an OpenAI-shaped body. One table.

    Failure              an answer that is an error: status, type, param, message, headers
    answer_for(error)    any exception of ours, of the bank's or of DRF's -> Failure

`code` in the body is always the status as a string; `type` names the cause (wire contract, 8).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from spend.errors import BudgetExceeded, BudgetUnavailable, Busy, CostNotBounded, ModelNotPriced
from spend.money import dollars_text, to_dollars

NO_RETRY = {"x-should-retry": "false"}
RESET_SECONDS_MAX = 60  # a reset that is further away is not worth waiting for

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Failure(Exception):
    """An answer that is an error. `extra` stands beside `error` in the body."""

    status: int
    type: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None  # an upstream's own code; ours is the status

    def error(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code or str(self.status),
        }

    def body(self) -> dict[str, Any]:
        return {"error": self.error(), **self.extra}


def bad_request(type_: str, message: str, param: str | None = None) -> Failure:
    return Failure(400, type_, message, param)


def not_found(message: str, param: str | None = None) -> Failure:
    return Failure(404, "not_found", message, param)


def unauthorized(type_: str, message: str) -> Failure:
    return Failure(401, type_, message, headers={"WWW-Authenticate": "Bearer"})


def answer_for(error: BaseException, *, model: str | None = None) -> Failure:
    """The answer to an exception; what nobody foresaw is logged and told as `internal_error`."""
    match error:
        case Failure():
            return error
        case BudgetExceeded():
            return over_budget(error)
        case CostNotBounded():
            return bad_request("cost_not_bounded", str(error), error.param)
        case ModelNotPriced():
            text = f"The model '{model}' has no price. An administrator must set one."
            return bad_request("model_not_priced", text, "model")
        case BudgetUnavailable() | Busy():
            text = "The budget could not be checked, so the call was not sent. Please try again."
            return Failure(503, "budget_unavailable", text, headers={"Retry-After": "1"})
        case drf.APIException():
            return _answer_for_drf(error)
        case Http404():
            return not_found("There is nothing at this address.")
        case PermissionDenied():
            return Failure(403, "permission_denied", "This is not allowed.")
    logger.error("internal_error", exc_info=error)
    return Failure(500, "internal_error", "Something went wrong on our side.")


def _answer_for_drf(error: drf.APIException) -> Failure:
    match error:
        case drf.ParseError():
            return bad_request("invalid_json", str(error.detail))
        case drf.ValidationError():
            field_name, text = first_problem(error.detail)
            return bad_request("invalid_parameter", text, field_name)
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return unauthorized("auth_error", str(error.detail))
        case drf.PermissionDenied():
            return Failure(403, "permission_denied", str(error.detail))
        case drf.NotFound():
            return not_found(str(error.detail))
        case drf.MethodNotAllowed():
            return Failure(405, "method_not_allowed", str(error.detail))
        case drf.UnsupportedMediaType():
            text = "The body must be JSON, sent as application/json."
            return Failure(415, "unsupported_media_type", text, headers={"Connection": "close"})
    return Failure(error.status_code, "invalid_parameter", str(error.detail))


def first_problem(detail: Any, path: str = "") -> tuple[str | None, str]:
    """The first field that a serializer complained about, and the complaint."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()))
        if name == "non_field_errors":
            return first_problem(inner, path)
        return first_problem(inner, f"{path}.{name}" if path else str(name))
    if isinstance(detail, list | tuple) and detail:
        place = next((n for n, item in enumerate(detail) if item), 0)
        inner = detail[place]
        if isinstance(inner, Mapping | list):
            return first_problem(inner, f"{path}[{place}]")
        return path or None, f"{path}: {inner}" if path else str(inner)
    return path or None, f"{path}: {detail}" if path else str(detail)


# -- over budget ---------------------------------------------------------------------------------


def over_budget(refusal: BudgetExceeded) -> Failure:
    """The seed's error body, with the `budget` object beside it (wire contract, 8)."""
    return Failure(
        settings.BUDGET_EXCEEDED_STATUS,
        "budget_exceeded",
        over_budget_text(refusal),
        headers=_over_budget_headers(refusal),
        extra={} if settings.BUDGET_DETAILS == "hidden" else {"budget": budget_fields(refusal)},
    )


def over_budget_text(refusal: BudgetExceeded) -> str:
    kind, _, name = refusal.payer.partition(":")
    text = f"Budget has been exceeded! {kind.capitalize()}={name}"
    if settings.BUDGET_DETAILS == "hidden":
        return text
    if refusal.budget_kind == "pot":
        text += f" Budget={refusal.budget}"
    spent = dollars_text(refusal.spent, decimals_min=2)
    text += f" Current cost: {spent}, Max budget: {dollars_text(refusal.limit)}"
    if refusal.spent < refusal.limit:
        held = dollars_text(refusal.reserved, decimals_min=2)
        requested = dollars_text(refusal.requested, decimals_min=2)
        text += f" In flight: {held}. This call: up to {requested}."
    return text


def budget_fields(refusal: BudgetExceeded) -> dict[str, Any]:
    kind, _, name = refusal.payer.partition(":")
    return {
        "tag": name if kind == "tag" else None,
        "key_alias": name if kind == "key" else None,
        "budget_id": refusal.budget,
        "mode": refusal.mode,
        "spent": to_dollars(refusal.spent),
        "reserved": to_dollars(refusal.reserved),
        "requested": to_dollars(refusal.requested),
        "limit": to_dollars(refusal.limit),
        "remaining": to_dollars(refusal.remaining),
        "duration": refusal.duration,
        "starts_at": refusal.starts_at,
        "resets_at": refusal.resets_at,
    }


def _over_budget_headers(refusal: BudgetExceeded) -> dict[str, str]:
    headers = dict(NO_RETRY)
    if settings.BUDGET_EXCEEDED_STATUS == 429 and refusal.resets_at is not None:
        seconds = int((refusal.resets_at - refusal.starts_at).total_seconds())
        if seconds <= RESET_SECONDS_MAX:
            headers["Retry-After"] = str(max(1, seconds))
    return headers


# -- management paths ----------------------------------------------------------------------------


def answer_management_error(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: the same body, and `detail` for those who know LiteLLM's."""
    failure = answer_for(error)
    set_rollback()
    headers = dict(failure.headers)
    if isinstance(error, drf.MethodNotAllowed):
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    body = {**failure.body(), "detail": failure.message}
    return Response(body, status=failure.status, headers=headers)
