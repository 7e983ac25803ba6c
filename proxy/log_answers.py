"""Answers: rows of the log as the wire has them, LiteLLM's names and ours."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from spend.arithmetic import Line, arithmetic_of
from spend.cost_breakdown import cost_breakdown, load_tariffs
from spend.models import Price, SpendLog
from spend.money import price_dollars, to_dollars
from spend.pricing import Tariff, wire_from_rates

CALL_TYPES = {
    "chat/completions": "acompletion",
    "completions": "atext_completion",
    "embeddings": "aembedding",
    "responses": "aresponses",
    "messages": "anthropic_messages",
    "images/generations": "aimage_generation",
    "audio/transcriptions": "atranscription",
    "audio/speech": "aspeech",
    "moderations": "amoderation",
    "rerank": "arerank",
}
ERROR_AMOUNTS = ("spent", "reserved", "limit", "requested")
ALWAYS_TOLD = {"input": 0, "cached_input": 0, "output": 0, "reasoning": 0}


def log_objects(rows: Iterable[SpendLog]) -> list[dict[str, Any]]:
    """Rows that were read with their tag sets; one more query however many they are."""
    listed = list(rows)
    tariffs = load_tariffs(listed)
    return [_log_object(row, tariffs) for row in listed]


def log_detail(row: SpendLog) -> dict[str, Any]:
    """One row, with the price that it was billed by and how its cost was reckoned."""
    tariffs = load_tariffs([row])
    reckoned = arithmetic_of(row, tariffs)
    return {
        **_log_object(row, tariffs),
        "price": _price_object(row),
        "arithmetic": {
            "lines": [_line_object(line) for line in reckoned.lines],
            "input_tokens": reckoned.input_tokens,
            "service_tier": reckoned.service_tier,
            "sum": price_dollars(reckoned.sum),
            "spend": to_dollars(row.cost),
        },
    }


def _price_object(row: SpendLog) -> dict[str, Any] | None:
    """Prices are never changed, only succeeded: this is what the call was billed by."""
    price = Price.objects.filter(pk=row.price_id).first() if row.price_id else None
    if price is None:
        return None
    return {
        "id": price.id,
        "source": price.source,
        "provider": price.provider or None,
        "model": price.model,
        "starts_at": price.starts_at,
        "prices": wire_from_rates(price.rates),
    }


def _line_object(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "name": line.name,
        "units": _number(line.units),
        "unit": line.unit,
        "price": None if line.price is None else price_dollars(line.price),
        "cost": price_dollars(line.cost),
    }


def _number(units: Decimal | None) -> Decimal | int | None:
    """Whole units without decimals."""
    return int(units) if units is not None and units == int(units) else units


def _log_object(row: SpendLog, tariffs: Mapping[UUID, Tariff]) -> dict[str, Any]:
    parts = cost_breakdown(row, tariffs)
    return {
        "id": row.id,
        "litellm_call_id": row.id,
        "request_id": row.upstream_request_id or row.id,
        "client_request_id": row.client_request_id,
        "call_type": CALL_TYPES.get(row.endpoint, row.endpoint),
        "endpoint": row.endpoint,
        "status": row.status,
        "http_status": row.http_status,
        "stream": row.stream,
        "client_disconnected": row.client_disconnected,
        "startTime": row.at,
        "completionStartTime": row.first_byte_at,
        "endTime": row.ended_at,
        "request_duration_ms": max(0, int((row.ended_at - row.at).total_seconds() * 1_000)),
        "api_key": bytes(row.key_digest).hex() if row.key_digest is not None else None,
        "key_id": row.key_id,
        "key_alias": row.key_alias,
        "model": row.upstream_model or row.model,
        "model_group": row.model,
        "model_id": row.deployment_id,
        "custom_llm_provider": row.provider,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "total_tokens": row.prompt_tokens + row.completion_tokens,
        "usage": ALWAYS_TOLD | row.usage,
        "usage_source": row.usage_source,
        "spend": to_dollars(row.cost),
        "cost_breakdown": {kind: price_dollars(picos) for kind, picos in parts.items()},
        "price_id": row.price_id,
        "request_tags": row.tag_set.tags,
        "end_user": row.end_user,
        "session_id": row.session_id,
        "user_agent": row.user_agent,
        "requester_ip_address": row.address,
        "cache_hit": "False",
        "attempts": _attempts(row),
        "flags": row.flags,
        "error": _error(row),
        "corrects": row.corrects,
        "metadata": row.metadata or {},
    }


def _error(row: SpendLog) -> dict[str, Any] | None:
    """The amounts of a refusal are kept in nano-dollars, and told in dollars like all money."""
    if row.error is None:
        return None
    return {
        name: to_dollars(value) if name in ERROR_AMOUNTS and isinstance(value, int) else value
        for name, value in row.error.items()
    }


def _attempts(row: SpendLog) -> list[dict[str, Any]]:
    """What was tried, and what each of that cost; the cost of the only attempt is the row's."""
    attempts = [dict(attempt) for attempt in row.attempts or ()]
    if len(attempts) == 1:
        attempts[0].setdefault("cost", row.cost)
    for attempt in attempts:
        if "cost" in attempt:
            attempt.setdefault("spend", to_dollars(attempt.pop("cost")))
    return attempts
