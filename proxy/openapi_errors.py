"""OpenAPI errors: the envelope of every failure, and which ones an operation may answer with."""

from collections.abc import Iterable
from typing import Any

OVER_BUDGET = {
    "error": {
        "message": (
            "Budget has been exceeded! Tag=engineering Current cost: 505.50, Max budget: 500.0"
        ),
        "type": "budget_exceeded",
        "param": None,
        "code": "400",
    },
    "budget": {
        "tag": "engineering",
        "key_alias": None,
        "budget_id": "0199d091-3000-7a11-8f2e-3b9a6d1c5e70",
        "mode": "standard",
        "spent": 505.5,
        "reserved": 0.0,
        "requested": 0.0021,
        "limit": 500.0,
        "remaining": 0.0,
        "duration": "30d",
        "starts_at": "2025-10-11T00:00:00Z",
        "resets_at": "2025-11-10T00:00:00Z",
    },
}
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Every failure. `type` names the cause, `param` the field.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "nullable": True},
                "param": {"type": "string", "nullable": True},
                "code": {"type": "string", "description": "The HTTP status, as a text."},
            },
        },
        "detail": {"type": "string", "description": "On management paths: the message again."},
        "budget": {
            "type": "object",
            "description": "Of `budget_exceeded`: the budget that had no room.",
            "additionalProperties": True,
        },
    },
}

# Status, name, what it means, an example's type, text and param.
_CAUSES = {
    "400": (
        "BadRequest", "Over budget, or something is wrong with the request.",
        ("invalid_parameter", "'n' must be a whole number from 1 to 1000.", "n"),
    ),
    "401": (
        "Unauthorized", "No key, or one that is unknown, expired or blocked.",
        ("auth_error", "The key is not known.", None),
    ),
    "403": (
        "Forbidden", "The key may not do this, or not with this model or tag.",
        ("permission_denied", "This path needs the master key.", None),
    ),
    "404": (
        "NotFound", "What is named does not exist.",
        ("model_not_found", "The model 'gpt-9' does not exist.", "model"),
    ),
    "409": (
        "Conflict", "The name is taken, or still in use.",
        ("already_exists", "Tag engineering exists already.", "name"),
    ),
    "413": (
        "TooLarge", "The body is larger than 20 MiB (a form: 30 MiB), or the headers than 32 KiB.",
        ("request_too_large", "The body is larger than 20 MiB.", None),
    ),
    "415": (
        "UnsupportedMediaType", "The body is not of the kind that the path takes, or compressed.",
        ("unsupported_media_type", "The body must be JSON, sent as application/json.", None),
    ),
    "429": (
        "TooManyRequests", "A rate limit of the key or of a tag; `Retry-After` says how long.",
        ("rate_limit_error",
         "Rate limit exceeded for tag: engineering. Limit type: requests. Current limit: 60,"
         " Remaining: 0. Limit resets at: 2026-11-22T10:06:00Z.", None),
    ),
    "502": (
        "BadGateway", "The upstream cannot be reached, or its answer cannot be used.",
        ("upstream_error", "The upstream cannot be reached.", None),
    ),
    "503": (
        "Unavailable", "The ledger cannot be reached, all deployments cool, or we shut down.",
        ("budget_unavailable", "Budgets cannot be checked at the moment.", None),
    ),
    "504": (
        "GatewayTimeout", "The upstream was silent. It may bill the call all the same.",
        ("upstream_timeout", "The upstream did not answer in time.", None),
    ),
}  # fmt: skip

ON_CALLS = tuple(status for status in _CAUSES if status != "409")
ON_MANAGEMENT = ("400", "401", "403", "413", "415")
_FAILURE = {"$ref": "#/components/responses/Failure"}


def error_components() -> dict[str, Any]:
    """What the components of a document hold for them."""
    shared = {
        name: _response(text, _envelope(status, *example))
        for status, (name, text, example) in _CAUSES.items()
    }
    shared["BadRequest"]["content"]["application/json"]["examples"] = {
        "over budget": {"value": OVER_BUDGET},
        "bad parameter": {"value": _envelope("400", *_CAUSES["400"][2])},
    }
    del shared["BadRequest"]["content"]["application/json"]["example"]
    failure = _response(
        "Any other failure.", _envelope("500", "internal_error", "Our fault.", None)
    )
    return {"schemas": {"Error": ERROR_SCHEMA}, "responses": {**shared, "Failure": failure}}


def error_responses(statuses: Iterable[str]) -> dict[str, Any]:
    """Of an operation that may fail so, or in a way that nobody foresaw."""
    named = {
        status: {"$ref": f"#/components/responses/{_CAUSES[status][0]}"} for status in statuses
    }
    return {**named, "default": _FAILURE}


def _envelope(status: str, type_: str, message: str, param: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": param, "code": status}}


def _response(text: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Error"}, "example": example}
    return {"description": text, "content": {"application/json": content}}
