"""Activity answers: days of spend in LiteLLM's shape.

Its maps by provider, endpoint and server are there and empty: roll-ups are not kept by these. The
model is the one that was asked for, which LiteLLM calls the group; both maps have it.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from proxy.models import APIKey
from spend.activity import ActivityPage, Day, Metrics, Share
from spend.money import to_dollars

Names = Mapping[UUID, tuple[str, dict[str, Any]]]  # a key's hash, and what else is told of it


def activity_object(page: ActivityPage, *, number: int, size: int) -> dict[str, Any]:
    """`metadata` adds up the days of this page, as LiteLLM's does: clients add up the pages."""
    names = _key_names(page.aliases)
    told = _metrics(page.metrics)
    pages = max(1, -(-page.days_total // size))
    return {
        "results": [_day_object(day, names) for day in page.days],
        "metadata": {
            "total_spend": told["spend"],
            "total_prompt_tokens": told["prompt_tokens"],
            "total_completion_tokens": told["completion_tokens"],
            "total_tokens": told["total_tokens"],
            "total_api_requests": told["api_requests"],
            "total_successful_requests": told["successful_requests"],
            "total_failed_requests": told["failed_requests"],
            "total_cache_read_input_tokens": told["cache_read_input_tokens"],
            "page": number,
            "total_pages": pages,
            "has_more": number < pages,
            "overlapping": True,
        },
    }


def _day_object(day: Day, names: Names) -> dict[str, Any]:
    models = _share_objects(day.models, names)
    return {
        "date": day.date,
        "metrics": _metrics(day.metrics),
        "breakdown": {
            "models": models,
            "model_groups": models,
            "providers": {},
            "endpoints": {},
            "api_keys": _key_objects(day.keys, names),
            "mcp_servers": {},
            "entities": _share_objects(day.tags, names),
        },
    }


def _share_objects(shares: Mapping[str, Share], names: Names) -> dict[str, Any]:
    return {
        name: {
            "metrics": _metrics(share.metrics),
            "metadata": {},
            "api_key_breakdown": _key_objects(share.keys, names),
        }
        for name, share in sorted(shares.items())
    }


def _key_objects(keys: Mapping[UUID, Metrics], names: Names) -> dict[str, Any]:
    found = {names[key_id][0]: (names[key_id][1], metrics) for key_id, metrics in keys.items()}
    return {
        digest: {"metrics": _metrics(metrics), "metadata": told}
        for digest, (told, metrics) in sorted(found.items())
    }


def _key_names(aliases: Mapping[UUID, str | None]) -> Names:
    """LiteLLM names keys by their hash; calls with the master key have none, but an id."""
    keys = APIKey.objects.filter(id__in=list(aliases))
    stored = {
        key_id: (digest, deleted_at is None)
        for key_id, digest, deleted_at in keys.values_list("id", "digest", "deleted_at")
    }
    return {
        key_id: (
            stored[key_id][0] if key_id in stored else str(key_id),
            {
                "key_id": key_id,
                "key_alias": alias,
                "team_id": None,
                "key_exists": key_id in stored and stored[key_id][1],
            },
        )
        for key_id, alias in aliases.items()
    }


def _metrics(metrics: Metrics) -> dict[str, Any]:
    """Roll-ups do not hold the tokens that were written to a cache: null says so, where 0 would
    claim that there were none."""
    return {
        "spend": to_dollars(metrics.spent),
        "prompt_tokens": metrics.prompt_tokens,
        "completion_tokens": metrics.completion_tokens,
        "cache_read_input_tokens": metrics.cached_tokens,
        "cache_creation_input_tokens": metrics.cache_write_tokens,
        "total_tokens": metrics.prompt_tokens + metrics.completion_tokens,
        "successful_requests": metrics.requests - metrics.failed,
        "failed_requests": metrics.failed,
        "api_requests": metrics.requests,
    }
