"""Model use: what calls for models came to lately, and what they would have at other rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from spend.money import Nanos
from spend.pricing import Tariff, cost_as_far_as_priced
from spend.rates import TOKEN_KINDS
from spend.usage import Usage

DAYS = 30
QUERY = """
select model, sum(cost), sum(requests), sum(failed), sum(prompt_tokens), sum(cached_tokens),
       sum(cache_write_tokens), sum(completion_tokens)
  from spend_rollup where span = 'day' and starts_at >= %(since)s and model = any(%(models)s)
 group by model
"""


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Of the last 30 days. Tokens in include those that were cached or written to a cache."""

    cost: int = 0
    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0


def read_model_uses(models: Sequence[str], now: datetime) -> dict[str, ModelUse]:
    """By the name that clients asked for; one query."""
    asked: dict[str, Any] = {"models": list(models), "since": now - timedelta(days=DAYS)}
    with connection.cursor() as cursor:
        cursor.execute(QUERY, asked)
        return {model: ModelUse(*map(int, sums)) for model, *sums in cursor.fetchall()}


def cost_at(use: ModelUse, rates: Mapping[str, Any]) -> Nanos:
    """By tokens and calls alone: long contexts, sound and images are in no roll-up."""
    plain = {kind: rates[kind] for kind in (*TOKEN_KINDS, "requests") if kind in rates}
    tariff = Tariff.from_rates(plain, price_id=None, source="")
    usage = Usage(
        input=max(0, use.prompt_tokens - use.cached_tokens - use.cache_write_tokens),
        cached_input=use.cached_tokens,
        cache_write=use.cache_write_tokens,
        output=use.completion_tokens,
        requests=use.requests - use.failed,
    )
    amount, _ = cost_as_far_as_priced(usage, tariff)
    return amount
