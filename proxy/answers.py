"""Answers: the headers that explain a call, and what of an upstream's answer is passed on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from django.conf import settings

from proxy.call import Call
from proxy.errors import Failure
from proxy.plan import Plan
from proxy.relay import Headers
from proxy.wire import write_json
from spend.ledger import Hold, WindowState
from spend.money import Nanos, dollars_text

BUDGETS_SHOWN_MAX = 8
JSON_HEADERS: Headers = [(b"content-type", b"application/json")]
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
# Everything but controls, "%", ",", ";" and non-ASCII may stand in a header as it is.
HEADER_SAFE = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) not in "%,;")


def id_headers(call_id: object) -> Headers:
    text = str(call_id).encode()
    return [(b"x-request-id", text), (b"x-litellm-call-id", text)]


def plan_headers(plan: Plan, hold: Hold, *, upstream_ms: float, cost: Nanos | None) -> Headers:
    """Who served the call, what it cost, and where its budgets stand (wire contract, 1.4)."""
    total_ms = plan.milliseconds()
    named = {
        "x-litellm-model-id": str(plan.route.card.id),
        "x-litellm-model-group": in_header(plan.call.model),
        "x-litellm-attempted-retries": "0",
        "x-litellm-attempted-fallbacks": "0",
        "x-litellm-response-duration-ms": f"{total_ms:.3f}",
        "x-litellm-overhead-duration-ms": f"{max(0.0, total_ms - upstream_ms):.3f}",
    }
    if cost is not None:
        named["x-litellm-response-cost"] = dollars_text(cost)
    named |= key_headers(plan.call, hold, cost)
    if plan.tags.names:
        named["x-tollgate-tags"] = ",".join(in_header(name) for name in plan.tags.names)
    if settings.BUDGET_DETAILS != "hidden":
        named |= budget_headers(hold, cost)
    return id_headers(plan.call.id) + encode_headers(named.items())


def key_headers(call: Call, hold: Hold, cost: Nanos | None) -> dict[str, str]:
    named = {}
    own = call.key.draws[0].budget if call.key.draws else None
    for window in hold.windows:
        if window.draw.budget == own:
            named["x-litellm-key-spend"] = dollars_text(window.spent + (cost or 0))
            if window.limit is not None:
                named["x-litellm-key-max-budget"] = dollars_text(window.limit)
    for name, limit in (
        ("x-litellm-key-rpm-limit", call.key.rpm_limit),
        ("x-litellm-key-tpm-limit", call.key.tpm_limit),
    ):
        if limit is not None:
            named[name] = str(limit)
    return named


def budget_headers(hold: Hold, cost: Nanos | None) -> dict[str, str]:
    """All limited budgets of the call, tightest first; the call counts at its cost once known."""
    limited = [_settled(window, hold, cost) for window in hold.windows if window.limit is not None]
    soft = [
        payer_name(window)
        for window in hold.windows
        if window.draw.soft_limit is not None and window.spent >= window.draw.soft_limit
    ]
    named = {"x-tollgate-soft-budget": ",".join(soft)} if soft else {}
    if not limited:
        return named
    limited.sort(key=lambda window: window.remaining or 0)
    tightest = limited[0]
    named |= {
        "x-tollgate-budget-tag": payer_name(tightest),
        "x-tollgate-budget-limit": dollars_text(tightest.limit or 0),
        "x-tollgate-budget-spent": dollars_text(tightest.spent),
        "x-tollgate-budget-remaining": dollars_text(tightest.remaining or 0),
        "x-tollgate-budgets": ", ".join(map(_budget_item, limited[:BUDGETS_SHOWN_MAX])),
    }
    if tightest.resets_at is not None:
        named["x-tollgate-budget-reset"] = wire_time(tightest.resets_at)
    return named


def _settled(window: WindowState, hold: Hold, cost: Nanos | None) -> WindowState:
    """The window as it will be when this call is settled, as far as that is known."""
    if cost is None:
        return window
    held = hold.held_on(window)
    return WindowState(
        window.draw,
        window.is_strict,
        window.limit,
        Nanos(window.spent + cost),
        Nanos(max(0, window.reserved - held)),
        window.resets_at,
    )


def _budget_item(window: WindowState) -> str:
    item = f"{payer_name(window)};limit={dollars_text(window.limit or 0)}"
    item += f";remaining={dollars_text(window.remaining or 0)}"
    return item if window.resets_at is None else f"{item};reset={wire_time(window.resets_at)}"


def payer_name(window: WindowState) -> str:
    """The tag's name, or `key:<alias>`."""
    kind, _, name = window.draw.payer.partition(":")
    return in_header(name) if kind == "tag" else f"key:{in_header(name)}"


def in_header(text: str) -> str:
    return quote(text, safe=HEADER_SAFE)


def encode_headers(named: Iterable[tuple[str, str]]) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named]


def wire_time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- bodies --------------------------------------------------------------------------------------


def error_event(failure: Failure) -> bytes:
    """What ends a stream that was begun and cannot be finished; no `[DONE]` follows."""
    return b"data: " + write_json(failure.body()) + b"\n\n"


def usage_event(body: Mapping[str, Any], cost: Nanos) -> bytes:
    """The usage chunk with the call's cost in it."""
    usage = {**body["usage"], "cost": orjson.Fragment(dollars_text(cost))}
    return b"data: " + orjson.dumps({**body, "usage": usage}) + b"\n\n"


def failure_headers(failure: Failure, source: str) -> Sequence[tuple[str, str]]:
    return [*failure.headers.items(), ("x-tollgate-error-source", source)]
