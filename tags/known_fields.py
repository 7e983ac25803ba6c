"""Known fields: members of a body that are neither ours nor unknown. Nothing is silently dropped.

A member that only answers have is ignored, so that what was read may be sent back. One that
LiteLLM (1.109) knows and Tollgate does not is accepted while it says nothing. Others are refused.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError

TAG_FIELDS = frozenset({"model_max_budget"})
BUDGET_FIELDS = frozenset(
    {
        "max_parallel_requests", "tpm_limit", "rpm_limit", "model_max_budget", "allowed_models",
        "budget_reset_at", "created_by", "updated_by", "organization_id", "team_id",
        "tpd_limit", "model_rpm_limit", "model_tpm_limit", "budget_limits",
    }
)  # fmt: skip

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
