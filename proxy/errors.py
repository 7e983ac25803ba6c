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

from proxy import over_budget
from spend.errors import (
    BudgetExceeded,
    BudgetUnavailable,
    Busy,
    CostNotBounded,
    ModelNotPriced,
    Unwritable,
)
from tags.errors import InUse, NotThere, Taken, TurnedDown

NO_RETRY = {"x-should-retry": "false"}
# Causes that a serializer may name for a field; whatever else is wrong with one is a bad value.
FIELD_TYPES = frozenset(
    {"unknown_field", "unsupported_field", "unsupported_provider", "invalid_tag", "too_many_tags"}
)

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
    source: str = "gateway"  # or "upstream": who is to be asked about it

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
            return Failure(
                settings.BUDGET_EXCEEDED_STATUS,
                "budget_exceeded",
                over_budget.text_of(error),
                headers=over_budget.headers_of(error),
                extra=over_budget.beside_error(error),
            )
        case CostNotBounded():
            return bad_request("cost_not_bounded", str(error), error.param)
        case ModelNotPriced():
            text = f"The model '{model}' has no price. An administrator must set one."
            return bad_request("model_not_priced", text, "model")
        case BudgetUnavailable() | Busy():
            text = "The budget could not be checked, so the call was not sent. Please try again."
            return Failure(503, "budget_unavailable", text, headers={"Retry-After": "1"})
        case Unwritable():
            return bad_request("invalid_parameter", "What the call says cannot be stored.")
        case TurnedDown():
            return _answer_for_verb(error)
        case drf.APIException():
            return _answer_for_drf(error)
        case Http404():
            return not_found("There is nothing at this address.")
        case PermissionDenied():
            return Failure(403, "permission_denied", "This is not allowed.")
    logger.error("internal_error", exc_info=error)
    return Failure(500, "internal_error", "Something went wrong on our side.")


def _answer_for_verb(error: TurnedDown) -> Failure:
    match error:
        case NotThere():
            return not_found(error.text, error.field)
        case Taken():
            return Failure(409, "already_exists", error.text, error.field)
        case InUse():
            return Failure(409, "in_use", error.text, error.field)
    text = f"{error.field}: {error.text}" if error.field else error.text
    return bad_request("invalid_parameter", text, error.field)


def _answer_for_drf(error: drf.APIException) -> Failure:
    match error:
        case drf.ParseError():
            return bad_request("invalid_json", str(error.detail))
        case drf.ValidationError():
            field_name, text, code = first_problem(error.detail)
            type_ = code if code in FIELD_TYPES else "invalid_parameter"
            return bad_request(type_, text, field_name)
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


def first_problem(detail: Any, path: str = "") -> tuple[str | None, str, str | None]:
    """The first field that a serializer complained about, the complaint, and its code."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()))
        if name == "non_field_errors":
            return first_problem(inner, path)
        if isinstance(name, int):  # an item of a list
            return first_problem(inner, f"{path}[{name}]")
        return first_problem(inner, f"{path}.{name}" if path else str(name))
    if isinstance(detail, list | tuple) and detail:
        place = next((n for n, item in enumerate(detail) if item), 0)
        inner = detail[place]
        if isinstance(inner, Mapping | list):
            return first_problem(inner, f"{path}[{place}]")
        detail = inner
    return path or None, f"{path}: {detail}" if path else str(detail), getattr(detail, "code", None)
