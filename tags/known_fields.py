"""Known fields: members of a body that are neither ours nor unknown. Nothing is silently dropped.

A member that only answers have is ignored, so that what was read may be sent back. One that
LiteLLM (1.109) knows and Tollgate does not is accepted while it says nothing. Others are refused.
The lists for keys and models are in proxy/known_fields.py.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError

COMMON_FIELDS = frozenset(
    {
        "team_id", "organization_id", "project_id", "agent_id", "model_max_budget",
        "model_rpm_limit", "model_tpm_limit", "tpd_limit", "tag_rpm_limit", "guardrails",
        "policies", "permissions", "allowed_routes", "aliases", "config", "auto_rotate",
        "temp_budget_increase", "updated_by",
    }
)  # fmt: skip
TAG_FIELDS = COMMON_FIELDS
BUDGET_FIELDS = COMMON_FIELDS | {
    "max_parallel_requests", "tpm_limit", "rpm_limit", "allowed_models", "created_by",
    "budget_limits",
}  # fmt: skip

UNSUPPORTED = "is a field of LiteLLM that Tollgate does not have"
UNKNOWN = "is not a field of this request"


def refuse_unknown(
    body: Mapping[str, Any], ours: Collection[str], litellm: Collection[str] = ()
) -> None:
    """Raises ValidationError `unsupported_field` or `unknown_field`, naming the first one."""
    for name, value in body.items():
        if name in ours:
            continue
        if name not in litellm:
            raise ValidationError({name: ErrorDetail(UNKNOWN, code="unknown_field")})
        if not says_nothing(value):
            raise ValidationError({name: ErrorDetail(UNSUPPORTED, code="unsupported_field")})


def says_nothing(value: Any) -> bool:
    """null, "", [], {} or false; zero says something."""
    return value is None or value is False or value in ("", [], {})
