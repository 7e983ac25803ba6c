"""Explaining: the headers that say who served a call, what it cost, where its budgets stand."""

from django.conf import settings

from proxy.answers import Headers, encode_headers, id_headers
from proxy.call import Call
from proxy.header_text import in_header, in_header_time, payer_in_header
from proxy.plan import Plan
from spend.ledger import Hold, WindowState
from spend.money import Nanos, dollars_text

BUDGETS_SHOWN_MAX = 8


def plan_headers(
    plan: Plan, hold: Hold | None = None, *, upstream_ms: float = 0.0, cost: Nanos | None = None
) -> Headers:
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
    if plan.tags.names:
        named["x-tollgate-tags"] = ",".join(in_header(name) for name in plan.tags.names)
    named |= key_limits(plan.call)
    if hold is not None:
        named |= key_headers(plan.call, hold, cost)
        if settings.BUDGET_DETAILS != "hidden":
            named |= budget_headers(hold, cost)
    return id_headers(plan.call.id) + encode_headers(named.items())


def key_limits(call: Call) -> dict[str, str]:
    limits = (
        ("x-litellm-key-rpm-limit", call.key.rpm_limit),
        ("x-litellm-key-tpm-limit", call.key.tpm_limit),
    )
    return {name: str(limit) for name, limit in limits if limit is not None}


def key_headers(call: Call, hold: Hold, cost: Nanos | None) -> dict[str, str]:
    named = {}
    own = call.key.draws[0].budget if call.key.draws else None
    for window in hold.windows:
        if window.draw.budget == own:
            named["x-litellm-key-spend"] = dollars_text(window.spent + (cost or 0))
            if window.limit is not None:
                named["x-litellm-key-max-budget"] = dollars_text(window.limit)
    return named


def budget_headers(hold: Hold, cost: Nanos | None) -> dict[str, str]:
    """All limited budgets of the call, tightest first; the call counts at its cost once known."""
    limited = [
        window if cost is None else _settled(window, held, cost)
        for window, held in zip(hold.windows, hold.holds, strict=True)
        if window.limit is not None
    ]
    soft = [
        payer_in_header(window.draw.payer)
        for window in hold.windows
        if window.draw.soft_limit is not None and window.spent >= window.draw.soft_limit
    ]
    named = {"x-tollgate-soft-budget": ",".join(soft)} if soft else {}
    if not limited:
        return named
    limited.sort(key=lambda window: window.remaining or 0)
    tightest = limited[0]
    named |= {
        "x-tollgate-budget-tag": payer_in_header(tightest.draw.payer),
        "x-tollgate-budget-limit": dollars_text(tightest.limit or 0),
        "x-tollgate-budget-spent": dollars_text(tightest.spent),
        "x-tollgate-budget-remaining": dollars_text(tightest.remaining or 0),
        "x-tollgate-budgets": ", ".join(map(_budget_item, limited[:BUDGETS_SHOWN_MAX])),
    }
    if tightest.resets_at is not None:
        named["x-tollgate-budget-reset"] = in_header_time(tightest.resets_at)
    return named


def _settled(window: WindowState, held: Nanos, cost: Nanos) -> WindowState:
    """The window as it will be when this call is settled."""
    return WindowState(
        window.draw,
        window.is_strict,
        window.limit,
        Nanos(window.spent + cost),
        Nanos(max(0, window.reserved - held)),
        window.resets_at,
    )


def _budget_item(window: WindowState) -> str:
    item = f"{payer_in_header(window.draw.payer)};limit={dollars_text(window.limit or 0)}"
    item += f";remaining={dollars_text(window.remaining or 0)}"
    return item if window.resets_at is None else f"{item};reset={in_header_time(window.resets_at)}"
