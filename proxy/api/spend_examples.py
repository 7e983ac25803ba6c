"""Examples of the spend API, for its documents."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

ROW = {
    "id": "01a1f86a-a158-7c2a-9d41-5b1f6f0d2a77",
    "request_id": "chatcmpl-abc123",
    "status": "success",
    "startTime": "2026-11-20T10:05:00.120Z",
    "key_alias": "svc-a",
    "model": "gpt-4o-2024-08-06",
    "model_group": "gpt-4",
    "prompt_tokens": 400,
    "completion_tokens": 100,
    "spend": 0.002,
    "cost_breakdown": {"input": 0.001, "output": 0.001},
    "price_id": "0199d0a5-3c20-7e01-a5b2-6c9d0e1f2a3b",
    "request_tags": ["AWS_IAM_PROD", "us-east-1"],
}
PAGE = {
    "data": [ROW], "total": 1, "total_is_capped": False, "page": 1, "page_size": 50,
    "total_pages": 1, "next_cursor": None,
}  # fmt: skip
DETAIL = ROW | {
    "price": {
        "id": ROW["price_id"],
        "source": "operator",
        "provider": "openai",
        "model": "gpt-4o",
        "starts_at": "2026-01-01T00:00:00.000Z",
        "prices": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
    },
    "arithmetic": {
        "lines": [
            {
                "kind": "input", "name": None, "units": 400, "unit": "token", "price": 2.5e-06,
                "cost": 0.001,
            },
            {
                "kind": "output", "name": None, "units": 100, "unit": "token", "price": 1e-05,
                "cost": 0.001,
            },
        ],
        "input_tokens": 400,
        "service_tier": None,
        "sum": 0.002,
        "spend": 0.002,
    },
}  # fmt: skip
SUMS = {
    "spend": 1.2, "requests": 40, "failed_requests": 1, "prompt_tokens": 9000,
    "completion_tokens": 2100, "total_tokens": 11100,
}  # fmt: skip
REPORT = {
    "group_by": ["tag", "day"],
    "start_date": "2026-11-01",
    "end_date": "2026-11-20",
    "time_zone": "UTC",
    "overlapping": True,
    "rows": [{"tag": "engineering", "day": "2026-11-20"} | SUMS],
    "total": SUMS,
}
CALCULATED = {
    "cost": 0.0004,
    "upper_bound": 0.16,
    "model": "gpt-4o",
    "price_id": ROW["price_id"],
    "breakdown": {},
    "budgets": [
        {
            "tag": "engineering", "key_alias": None, "mode": "standard", "spent": 10.0,
            "reserved": 0.0, "requested": 0.0004, "limit": 500.0, "remaining": 490.0,
            "budget_id": "0199d091-3000-7a11-8f2e-3b9a6d1c5e70", "duration": "30d",
            "starts_at": "2026-11-01T00:00:00Z", "resets_at": "2026-12-01T00:00:00Z",
        }
    ],
    "admitted": True,
}  # fmt: skip
OF_USAGE = {"model": "gpt-4o", "usage": {"prompt_tokens": 400, "completion_tokens": 100}}
CALCULATE = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hello"}],
    "tags": ["engineering"],
}
TAGS = [{"individual_request_tag": "engineering", "log_count": 6, "total_spend": 0.00067}]
TAG_TOTALS = {
    "spend_per_tag": [{"name": "engineering", "spend": 0.1, "log_count": 3}],
    "distinct_total": {"spend": 0.1, "log_count": 3},
    "overlapping": True,
}


ARRAY = {"type": "array", "items": {"type": "object", "additionalProperties": True}}


def answered(
    value: Any,
    name: str = "an answer",
    *,
    statuses: list[str] | None = None,
    media_type: str = "application/json",
) -> list[OpenApiExample]:
    return [
        OpenApiExample(
            name, value, response_only=True, status_codes=statuses, media_type=media_type
        )
    ]
