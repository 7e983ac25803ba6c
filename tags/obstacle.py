"""Obstacle: the budget that had no room for a refused call, and the tag on whose page it stands."""

from dataclasses import dataclass

from spend.models import Budget, SpendLog
from tags.models import Tag


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`tag` is the one that drew on it, None if a key did or the tag is gone; so may the budget."""

    name: str
    public_id: str
    tag: Tag | None
    has_limit: bool


def read_obstacle(row: SpendLog) -> Obstacle | None:
    """None where a row tells of no budget."""
    error = row.error or {}
    public_id = error.get("budget")
    if not public_id:
        return None
    kind, _, name = str(error.get("payer", "")).partition(":")
    budget = Budget.objects.filter(public_id=public_id).first()
    tag = Tag.objects.filter(name=name).first() if kind == "tag" else None
    return Obstacle(
        name=_name(budget, f"{kind} {name}".removeprefix("tag ")) if budget else str(public_id),
        public_id=str(public_id),
        tag=tag,
        has_limit=budget is not None and budget.windows.filter(is_open=True, limit__gte=0).exists(),
    )


def _name(budget: Budget, payer: str) -> str:
    """`team:search, monthly`; `pot eu of team:search, monthly`."""
    whose = f"pot {budget.public_id} of {payer}" if budget.is_pot else payer
    return f"{whose.strip() or budget.public_id}, {budget.duration or 'never resets'}"
