"""Over budget: the texts and fields of a refusal, as the seed has them (wire contract, 8)."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from proxy.header_text import in_header_time, payer_in_header
from spend.errors import BudgetExceeded
from spend.money import dollars_text, to_dollars

RESET_SECONDS_MAX = 60  # a reset that is further away is not worth waiting for


def beside_error(refusal: BudgetExceeded) -> dict[str, Any]:
    """What stands beside `error` in the body."""
    return {} if settings.BUDGET_DETAILS == "hidden" else {"budget": budget_fields(refusal)}


def text_of(refusal: BudgetExceeded) -> str:
    kind, _, name = refusal.payer.partition(":")
    text = f"Budget has been exceeded! {kind.capitalize()}={name}"
    if settings.BUDGET_DETAILS == "hidden":
        return text
    if refusal.budget_kind == "pot":
        text += f" Budget={refusal.budget}"
    spent = dollars_text(refusal.spent, decimals_min=2)
    text += f" Current cost: {spent}, Max budget: {dollars_text(refusal.limit)}"
    if refusal.spent < refusal.limit:
        held = dollars_text(refusal.reserved, decimals_min=2)
        requested = dollars_text(refusal.requested, decimals_min=2)
        text += f" In flight: {held}. This call: up to {requested}."
    return text


def budget_fields(refusal: BudgetExceeded) -> dict[str, Any]:
    kind, _, name = refusal.payer.partition(":")
    return {
        "tag": name if kind == "tag" else None,
        "key_alias": name if kind == "key" else None,
        "budget_id": refusal.budget,
        "mode": refusal.mode,
        "spent": to_dollars(refusal.spent),
        "reserved": to_dollars(refusal.reserved),
        "requested": to_dollars(refusal.requested),
        "limit": to_dollars(refusal.limit),
        "remaining": to_dollars(refusal.remaining),
        "duration": refusal.duration,
        "starts_at": refusal.starts_at,
        "resets_at": refusal.resets_at,
    }


def headers_of(refusal: BudgetExceeded) -> dict[str, str]:
    headers = {"x-should-retry": "false"}
    if settings.BUDGET_DETAILS != "hidden":
        headers |= budget_headers(refusal)
    if settings.BUDGET_EXCEEDED_STATUS == 429 and refusal.resets_at is not None:
        seconds = int((refusal.resets_at - datetime.now(UTC)).total_seconds()) + 1
        if seconds <= RESET_SECONDS_MAX:
            headers["Retry-After"] = str(max(1, seconds))
    return headers


def budget_headers(refusal: BudgetExceeded) -> dict[str, str]:
    """The budget that refused, under the names that an admitted call's tightest budget has."""
    headers = {
        "x-tollgate-budget-tag": payer_in_header(refusal.payer),
        "x-tollgate-budget-limit": dollars_text(refusal.limit),
        "x-tollgate-budget-spent": dollars_text(refusal.spent),
        "x-tollgate-budget-remaining": dollars_text(refusal.remaining),
    }
    if refusal.resets_at is not None:
        headers["x-tollgate-budget-reset"] = in_header_time(refusal.resets_at)
    return headers
