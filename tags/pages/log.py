"""One log row: what it cost and why, what it was charged to, how it went; corrections beside it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404

from spend.amounts import MINUS, exact_text
from spend.arithmetic import Arithmetic, Line, arithmetic_of
from spend.cost_breakdown import load_tariffs
from spend.log_sheets import rows_of_call
from spend.models import Budget, BudgetWindow, Price, SpendLog
from spend.money import PICOS_PER_NANO
from spend.templatetags.money import per_million_text, unit_text
from tags.access import EDIT, sees_all, visible_names
from tags.models import Tag
from tags.obstacle import read_obstacle
from tags.pages.page import Page

MONEY = ("spent", "reserved", "requested", "limit", "remaining")
TOLD = {
    "message": "Says",
    "type": "Kind",
    "code": "Code",
    "param": "About",
    "budget_kind": "Whose",
    "spent": "Spent then",
    "reserved": "Held then",
    "requested": "Would have held",
    "limit": "Limit then",
}
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class CostLine:
    """`price` is per million tokens, or per whatever the unit is."""

    name: str
    units: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Charged:
    """A window that the call drew on."""

    name: str
    starts_at: datetime
    held: int
    spent: int
    limit: int | None
    is_open: bool


class LogPage(Page):
    template_name = "tags/log.html"

    @property
    def title(self) -> str:
        return f"Call {str(self.kwargs['pk'])[:8]}"

    def context(self) -> dict[str, Any]:
        rows = list(rows_of_call(self.kwargs["pk"]).select_related("tag_set"))
        row = next((row for row in rows if row.id == self.kwargs["pk"]), None)
        visible = visible_names(self.request.user)
        if row is None or not (visible is None or visible.intersection(row.tag_set.tags)):
            raise Http404
        tags = [name for name in row.tag_set.tags if visible is None or name in visible]
        sees_rest = sees_all(self.request.user)
        reckoned = arithmetic_of(row, load_tariffs([row]))
        return {
            "log": row,
            "tags": tags,
            "hidden": len(row.tag_set.tags) - len(tags),
            "sees_rest": sees_rest,
            "lines": [cost_line(line) for line in reckoned.lines],
            "rounding": _rounding(reckoned, row),
            "service_tier": reckoned.service_tier,
            "price": Price.objects.filter(pk=row.price_id).first() if row.price_id else None,
            "charged": read_charged(row) if sees_rest else [],
            "others": [other for other in rows if other.id != row.id],
            "exact_cost": exact_text(row.cost),
            "exact_sum": exact_text(sum(other.cost for other in rows)),
            "milliseconds": _between(row.at, row.ended_at),
            "first_byte": _between(row.at, row.first_byte_at),
            "error": _error(row, sees_rest=sees_rest),
            "error_limit": (row.error or {}).get("limit"),
            "obstacle": read_obstacle(row) if sees_rest else None,
            "may_raise": self.may(EDIT),
            "attempts": row.attempts or [],
            "may_see_row": self.may("spend.view_spendlog"),
        }


def cost_line(line: Line) -> CostLine:
    name = line.kind.replace("_", " ") + (f" ({line.name})" if line.name else "")
    units = "" if line.units is None else f"{line.units:,} {line.unit}s"
    price = ""
    if line.price is not None:
        is_token = line.unit == "token"
        price = f"{per_million_text(line.price)} per 1M" if is_token else unit_text(line.price)
    return CostLine(name, units, price, _picos_text(line.cost))


def read_charged(row: SpendLog) -> list[Charged]:
    """In the order in which they were drawn on."""
    windows = BudgetWindow.objects.select_related("budget").in_bulk(row.windows)
    names = _names(windows.values(), row)
    return [
        Charged(
            name=names[windows[pk].budget_id],
            starts_at=windows[pk].starts_at,
            held=held,
            spent=windows[pk].spent,
            limit=windows[pk].limit,
            is_open=windows[pk].is_open,
        )
        for pk, held in zip(row.windows, row.holds, strict=True)
        if pk in windows
    ]


def _names(windows: Any, row: SpendLog) -> dict[int, str]:
    """Whose budget each is: a pot's, a tag's; else it is that of the key."""
    budgets: dict[int, Budget] = {window.budget_id: window.budget for window in windows}
    own = dict(Tag.objects.filter(budget__in=budgets).values_list("budget_id", "name"))
    further = dict(
        Tag.objects.filter(draws__budget__in=budgets).values_list("draws__budget", "name")
    )
    key = f"key {row.key_alias}" if row.key_alias else "key"
    found = {}
    for pk, budget in budgets.items():
        name = f"pot {budget.public_id}" if budget.is_pot else own.get(pk) or further.get(pk) or key
        found[pk] = f"{name}, {budget.duration or 'never resets'}"
    return found


def _rounding(reckoned: Arithmetic, row: SpendLog) -> str:
    """What was added when the sum was rounded up to a nano-dollar; empty if nothing was."""
    added = row.cost * PICOS_PER_NANO - reckoned.sum
    return unit_text(added) if added > 0 else ""


def _between(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else max(0, (end - start) // MILLISECOND)


def _error(row: SpendLog, *, sees_rest: bool) -> list[tuple[str, Any, bool]]:
    """Label, value, whether it is money. An owner learns the kind: the rest may name others.

    The budget is told apart, and the amounts say what the message says.
    """
    error = row.error or {}
    told = TOLD if sees_rest else {"type": "Kind"}
    said = () if error.get("limit") is None else ("message",)
    return [
        (label, error[name], name in MONEY and isinstance(error[name], int))
        for name, label in told.items()
        if name not in said and error.get(name) is not None
    ]


def _picos_text(picos: int) -> str:
    """A correction may give back."""
    return unit_text(picos) if picos >= 0 else f"{MINUS}{unit_text(-picos)}"
