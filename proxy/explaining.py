"""Explaining: the headers that say who served a call, what it cost, where its budgets stand."""

from functools import lru_cache
from itertools import starmap
from operator import itemgetter

from django.conf import settings

from proxy.answers import Headers, encode_headers, id_headers
from proxy.call import Call
from proxy.header_text import REMEMBERED_MAX, in_header, in_header_time, payer_in_header
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
        "x-litellm-model-id": plan.route.card.id_text,
        "x-litellm-model-group": in_header(plan.call.model),
        "x-litellm-attempted-retries": "0",
        "x-litellm-attempted-fallbacks": "0",
        "x-litellm-response-duration-ms": f"{total_ms:.3f}",
        "x-litellm-overhead-duration-ms": f"{max(0.0, total_ms - upstream_ms):.3f}",
    }
    if cost is not None:
        named["x-litellm-response-cost"] = dollars_text(cost)
    if plan.tags.names:
        named["x-tollgate-tags"] = tags_in_header(plan.tags.names)
    named |= key_limits(plan.call)
    if hold is not None:
        named |= key_headers(plan.call, hold, cost)
        if settings.BUDGET_DETAILS != "hidden":
            named |= budget_headers(hold, cost)
    return id_headers(plan.call.id) + encode_headers(named.items())


@lru_cache(REMEMBERED_MAX)
def tags_in_header(names: tuple[str, ...]) -> str:
    return ",".join(map(in_header, names))


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
        (_remaining(window, held, cost), window)
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
    limited.sort(key=itemgetter(0))
    remaining, tightest = limited[0]
    named |= {
        "x-tollgate-budget-tag": payer_in_header(tightest.draw.payer),
        "x-tollgate-budget-limit": limit_in_header(tightest.limit or 0),
        "x-tollgate-budget-spent": dollars_text(tightest.spent + (cost or 0)),
        "x-tollgate-budget-remaining": dollars_text(remaining),
        "x-tollgate-budgets": ", ".join(starmap(_budget_item, limited[:BUDGETS_SHOWN_MAX])),
    }
    if tightest.resets_at is not None:
        named["x-tollgate-budget-reset"] = in_header_time(tightest.resets_at)
    return named


def _remaining(window: WindowState, held: Nanos, cost: Nanos | None) -> int:
    """What is left once this call is settled, or while it is held if its cost is not known."""
    left = (window.limit or 0) - window.spent - window.reserved
    return max(0, left if cost is None else left + held - cost)


limit_in_header = lru_cache(REMEMBERED_MAX)(dollars_text)


def _budget_item(remaining: int, window: WindowState) -> str:
    item = f"{payer_in_header(window.draw.payer)};limit={limit_in_header(window.limit or 0)}"
    item += f";remaining={dollars_text(remaining)}"
    return item if window.resets_at is None else f"{item};reset={in_header_time(window.resets_at)}"
