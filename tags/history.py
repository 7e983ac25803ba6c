"""History: what people changed about a tag, and every window of its budgets that has closed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from spend.amounts import exact_text
from spend.models import Audit, BudgetWindow
from spend.money import parse_dollars_text
from spend.rate_lines import rate_lines

ENTRIES_MAX = 50
ACTIONS = {
    "create": "created it",
    "adopt": "adopted it from traffic",
    "change": "changed it",
    "delete": "deleted it",
    "reset_spend": "reset its spend",
    "raise_window": "raised this window",
    "block": "blocked it",
    "unblock": "unblocked it",
    "regenerate": "gave it another secret",
    "try": "tried a call with it",
    "update": "changed it",
    "price": "priced it",
}
LABELS = {
    "description": "Description",
    "owners": "Owners",
    "allowed_models": "Models allowed",
    "tpm_limit": "Tokens per minute",
    "rpm_limit": "Calls per minute",
    "max_parallel_requests": "Calls at a time",
    "blocked": "Blocked",
    "pots": "Pots",
    "limit": "limit",
    "soft_limit": "soft limit",
    "mode": "mode",
    "duration": "period",
    "time_zone": "time zone",
    "start": "start",
    "alert_thresholds": "alerts at",
    "window_limit": "Limit of this window",
    "budget_id": "Budget",
    "alias": "Alias",
    "metadata": "Metadata",
    "allowed_tags": "Tags a client may add",
    "required_tags": "Must carry",
    "expires_at": "Expires",
    "brought": "Secret brought along",
    "old_secret_until": "Old secret works until",
    "model_name": "Name",
    "aliases": "Also called",
    "provider": "Provider",
    "address": "Address",
    "api_version": "API version",
    "secret": "Secret",
    "upstream_model": "Model there",
    "base_model": "Priced as",
    "tags": "Routing tags",
    "order": "Order",
    "weight": "Weight",
    "timeout_seconds": "Timeout, seconds",
    "stream_timeout_seconds": "Until a stream begins, seconds",
    "max_retries": "Retries",
    "input_tokens_max": "Input tokens at most",
    "output_tokens_max": "Output tokens at most",
    "terms": "Further terms",
    "enabled": "On offer",
    "rates": "Price",
    "starts_at": "From",
}
# JSON in the database keeps no order of its own.
ORDER = [
    "description", "owners", "blocked", "limit", "soft_limit", "mode", "duration", "time_zone",
    "start", "alert_thresholds", "budget", "further", "pots", "window_limit",
]  # fmt: skip
AMOUNTS = ("limit", "soft_limit", "window_limit")
NEVER_SAID = ("id", "budget_id", "upstream")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was changed, as people read it; empty for what was not there."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what, and when."""

    id: int
    at: datetime
    actor: str
    action: str
    reason: str
    differences: tuple[Difference, ...]


def read_entries(
    name: str, *, kind: str = "tag", before_id: int | None = None
) -> tuple[list[Entry], int | None]:
    """The newest first, and the id to go on from; None at the end."""
    rows = Audit.objects.filter(kind=kind, name=name).order_by("-id")
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    found = list(rows[: ENTRIES_MAX + 1])
    following = found[ENTRIES_MAX - 1].id if len(found) > ENTRIES_MAX else None
    return [_entry(row) for row in found[:ENTRIES_MAX]], following


def read_closed_windows(
    budgets: Sequence[int], *, before_id: int | None = None
) -> tuple[list[BudgetWindow], int | None]:
    """Of these budgets, the latest begun first, and the id to go on from; None at the end."""
    rows = BudgetWindow.objects.filter(budget__in=budgets, is_open=False)
    if before_id is not None:
        last = BudgetWindow.objects.filter(pk=before_id, budget__in=budgets).first()
        rows = rows.none() if last is None else rows.filter(_begun_before(last))
    found = list(rows.select_related("budget").order_by("-starts_at", "-id")[: ENTRIES_MAX + 1])
    following = found[ENTRIES_MAX - 1].pk if len(found) > ENTRIES_MAX else None
    return found[:ENTRIES_MAX], following


def _begun_before(window: BudgetWindow) -> Q:
    at = window.starts_at
    return Q(starts_at__lt=at) | Q(starts_at=at, id__lt=window.pk)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Of a tag as the audit describes it; what is new shows all that is not empty."""
    was, became = dict(_flat(before)), dict(_flat(after))
    names = list(dict.fromkeys([*was, *became]))
    pairs = [(name, was.get(name, ""), became.get(name, "")) for name in names]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def _entry(row: Audit) -> Entry:
    return Entry(
        id=row.pk,
        at=row.at,
        actor=row.actor,
        action=ACTIONS.get(row.action, row.action.replace("_", " ")),
        reason=row.reason,
        differences=tuple(differences(row.before or {}, row.after or {})),
    )


def _flat(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _in_order(said):
        if name == "budget":
            yield from _budget("Budget", value or {})
        elif name == "further":
            for terms in value or ():
                yield from _budget(f"Budget {terms.get('duration') or 'without a period'}", terms)
        elif name not in NEVER_SAID:
            yield LABELS.get(name, name), _text(name, value)


def _budget(label: str, terms: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _in_order(terms):
        if name not in NEVER_SAID:
            yield f"{label}: {LABELS.get(name, name)}", _text(name, value)


def _in_order(said: Mapping[str, Any]) -> list[tuple[str, Any]]:
    place = {name: n for n, name in enumerate(ORDER)}
    return sorted(said.items(), key=lambda item: (place.get(item[0], len(place)), item[0]))


def _text(name: str, value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in AMOUNTS:
        return exact_text(parse_dollars_text(str(value)))
    if name == "rates":
        return "; ".join(f"{what} {price}" for what, price in rate_lines(value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if name == "alert_thresholds":
        return ", ".join(f"{percent}%" for percent in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
