"""Past calls for tests: rows of the log, with their windows and roll-ups, through the real SQL."""

import json
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection

from spend.billing import Bill, Record
from spend.ids import CallIds
from spend.ledger import Intent
from spend.money import Nanos
from spend.past_calls import PastCall, intern_tags, write_past_calls
from spend.rollover import database_now
from spend.usage import Usage

NAMESPACE = UUID(int=7)
USAGE = Usage(input=400, output=100)

_numbers = count(1)


def key_id_of(alias: str) -> UUID:
    return uuid5(NAMESPACE, alias)


def make_past_call(**named: Any) -> UUID:
    """The id of a call that was made that long ago. Costs are nano-dollars."""
    call = past_call(**named)
    write_past_calls([call])
    return call.id


def past_call(
    *,
    tags: tuple[str, ...] = (),
    cost: int = 0,
    status: str = "success",
    key_alias: str = "ci",
    key_id: UUID | None = None,
    model: str = "demo-fast",
    ago: timedelta = timedelta(),
    usage: Usage = USAGE,
    usage_source: str = "upstream",
    price_id: UUID | None = None,
    windows: tuple[int, ...] = (),
    intent: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    seconds: float = 1.89,
) -> PastCall:
    """What `write_past_calls` brings in."""
    at = database_now() - ago - timedelta(milliseconds=1_000 - next(_numbers) % 1_000)
    call_id = CallIds(lambda: int(at.timestamp() * 1_000)).next()
    is_billed = status not in ("failure", "refused")
    return PastCall(
        id=call_id,
        at=at,
        intent=Intent(
            **{
                "endpoint": "chat/completions",
                "stream": False,
                "key_id": key_id or key_id_of(key_alias),
                "key_alias": key_alias,
                "key_digest": None,
                "tag_set": intern_tags(tags),
                "model": model,
                **(intent or {}),
            }
        ),
        windows=windows,
        bill=Bill(
            Nanos(cost),
            status,
            usage if is_billed else Usage(),
            usage_source if is_billed else "none",
            price_id,
        ),
        record=Record(
            **{
                "http_status": 200 if is_billed else 502,
                "ended_at": at + timedelta(seconds=seconds),
                **(record or {}),
            }
        ),
    )


def correct_past_call(call_id: UUID, cost: int, usage: Usage = USAGE) -> None:
    """Late usage of a call that was charged at its estimate when its worker had died."""
    item = {
        "id": str(call_id),
        "cost": cost,
        "status": "success",
        "http_status": 200,
        "usage": usage.as_json(),
        "usage_source": "upstream",
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_input,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "select spend_settle(%s::jsonb, %s)", [json.dumps([item]), settings.REPORT_TIME_ZONE]
        )
