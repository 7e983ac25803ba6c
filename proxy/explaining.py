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
    """Who served the call, what it cost, and where its budgets stand (wire contract, 1.4).

    Written as bytes at once: every answer carries them.
    """
    call, total_ms = plan.call, plan.milliseconds()
    headers = [
        *id_headers(call.id),
        *standing_headers(
            plan.route.card.id_text,
            call.model,
            plan.tags.names,
            call.key.rpm_limit,
            call.key.tpm_limit,
            (plan.retries, plan.fallbacks),
        ),
        (b"x-litellm-response-duration-ms", b"%.3f" % total_ms),
        (b"x-litellm-overhead-duration-ms", b"%.3f" % max(0.0, total_ms - upstream_ms)),
    ]
    if plan.pace is not None:
        headers += encode_headers(plan.pace.headers().items())
    if cost is not None:
        headers.append((b"x-litellm-response-cost", dollars_text(cost).encode()))
    if hold is not None:
        headers += key_headers(call, hold, cost)
        if settings.BUDGET_DETAILS != "hidden":
            headers += budget_headers(hold, cost)
    return headers


@lru_cache(REMEMBERED_MAX)
def standing_headers(
    deployment: str,
    model: str,
    tags: tuple[str, ...],
    rpm_limit: int | None,
    tpm_limit: int | None,
    further: tuple[int, int],
) -> tuple[tuple[bytes, bytes], ...]:
    """What is the same in the next answer to such a call."""
    named = {
        "x-litellm-model-id": deployment,
        "x-litellm-model-group": in_header(model),
        "x-litellm-attempted-retries": str(further[0]),
        "x-litellm-attempted-fallbacks": str(further[1]),
    }
    if tags:
        named["x-tollgate-tags"] = ",".join(map(in_header, tags))
    if rpm_limit is not None:
        named["x-litellm-key-rpm-limit"] = str(rpm_limit)
    if tpm_limit is not None:
        named["x-litellm-key-tpm-limit"] = str(tpm_limit)
    return tuple(encode_headers(named.items()))


def key_headers(call: Call, hold: Hold, cost: Nanos | None) -> Headers:
    if not call.key.draws:
        return []
    own = call.key.draws[0].budget
    window = next((window for window in hold.windows if window.draw.budget == own), None)
    if window is None:
        return []
    spent = dollars_text(window.spent + (cost or 0)).encode()
    headers = [(b"x-litellm-key-spend", spent)]
    if window.limit is not None:
        headers.append((b"x-litellm-key-max-budget", limit_in_header(window.limit).encode()))
    return headers


def budget_headers(hold: Hold, cost: Nanos | None) -> Headers:
    """All limited budgets of the call, tightest first; the call counts at its cost once known."""
    headers: Headers = []
    soft = [
        payer_in_header(window.draw.payer)
        for window in hold.windows
        if window.draw.soft_limit is not None and window.spent >= window.draw.soft_limit
    ]
    if soft:
        headers.append((b"x-tollgate-soft-budget", ",".join(soft).encode()))
    limited = [
        (_remaining(window, held, cost), window)
        for window, held in zip(hold.windows, hold.holds, strict=True)
        if window.limit is not None
    ]
    if not limited:
        return headers
    limited.sort(key=itemgetter(0))
    remaining, tightest = limited[0]
    spent = dollars_text(tightest.spent + (cost or 0)).encode()
    items = ", ".join(starmap(_budget_item, limited[:BUDGETS_SHOWN_MAX]))
    headers += [
        (b"x-tollgate-budget-tag", payer_in_header(tightest.draw.payer).encode()),
        (b"x-tollgate-budget-limit", limit_in_header(tightest.limit or 0).encode()),
        (b"x-tollgate-budget-spent", spent),
        (b"x-tollgate-budget-remaining", dollars_text(remaining).encode()),
        (b"x-tollgate-budgets", items.encode()),
    ]
    if tightest.resets_at is not None:
        headers.append((b"x-tollgate-budget-reset", in_header_time(tightest.resets_at).encode()))
    return headers


def _remaining(window: WindowState, held: Nanos, cost: Nanos | None) -> int:
    """What is left once this call is settled, or while it is held if its cost is not known."""
    left = (window.limit or 0) - window.spent - window.reserved
    return max(0, left if cost is None else left + held - cost)


limit_in_header = lru_cache(REMEMBERED_MAX)(dollars_text)


def _budget_item(remaining: int, window: WindowState) -> str:
    item = f"{payer_in_header(window.draw.payer)};limit={limit_in_header(window.limit or 0)}"
    item += f";remaining={dollars_text(remaining)}"
    return item if window.resets_at is None else f"{item};reset={in_header_time(window.resets_at)}"
