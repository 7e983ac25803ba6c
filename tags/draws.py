"""Draws: the further budgets and the pots that a tag or a key draws on beside its own budget."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Manager, QuerySet

from spend.budgets import TERMS, change_budget, close_budget, create_budget
from spend.ledger import Draw
from spend.models import Budget, BudgetWindow, FurtherDraw
from spend.money import dollars_text
from tags.changes import Changes
from tags.errors import Invalid

FURTHER_MAX = 8
POTS_MAX = 32


def draws_of(payer: str, own: Budget, draws: Iterable[FurtherDraw]) -> tuple[Draw, ...]:
    """Own budget, further ones, pots: the order in which a refusal names them."""
    further, pots = split_draws(draws)
    return tuple(
        Draw(budget.pk, payer, budget.public_id, budget.soft_limit)
        for budget in (own, *further, *pots)
    )


def split_draws(draws: Iterable[FurtherDraw]) -> tuple[list[Budget], list[Budget]]:
    """Further budgets and pots, each in their order; the rows must have their budgets."""
    further: list[Budget] = []
    pots: list[Budget] = []
    for draw in draws:
        (pots if draw.budget.is_pot else further).append(draw.budget)
    return further, pots


def lock_windows(budgets: Iterable[Budget]) -> None:
    """Lock the open windows in the one order that everybody uses: budgets first, each by id."""
    keys = [budget.pk for budget in budgets]
    windows = BudgetWindow.objects.open().filter(budget__in=keys)
    for rows in (Budget.objects.filter(pk__in=keys), windows):
        list(rows.order_by("pk").select_for_update().values_list("pk"))


def replace_further(draws: Manager[Any], wanted: Sequence[Mapping[str, Any]]) -> None:
    """The list replaces the old one; a budget of equal duration stays, with its windows.

    `draws` is an owner's related manager; each item of `wanted` holds all terms of a budget.
    """
    stored = {draw.budget.duration: draw for draw in _related(draws) if not draw.budget.is_pot}
    for position, terms in enumerate(wanted):
        draw = stored.pop(terms.get("duration"), None)
        if draw is None:
            draws.create(budget=create_budget(**terms), position=position)
            continue
        change_budget(draw.budget, terms)
        if draw.position != position:
            draw.position = position
            draw.save()
    for draw in stored.values():
        draw.delete()
        close_budget(draw.budget)


def replace_pots(draws: Manager[Any], names: Sequence[str]) -> None:
    """Draw on exactly these pots. Raises Invalid, naming the first one that does not exist."""
    pots = {pot.public_id: pot for pot in _locked_pots(names)}
    for n, name in enumerate(names):
        if name not in pots:
            raise Invalid(f"there is no shared budget '{name}'", f"shared_budget_ids[{n}]")
    stored = {draw.budget.public_id: draw for draw in _related(draws) if draw.budget.is_pot}
    for position, name in enumerate(names):
        if name not in stored:
            draws.create(budget=pots[name], position=FURTHER_MAX + position)
        elif stored[name].position != FURTHER_MAX + position:
            stored[name].position = FURTHER_MAX + position
            stored[name].save()
    for name in stored.keys() - set(names):
        stored[name].delete()


def replace_draws(draws: Manager[Any], changes: Changes) -> None:
    """Those lists that were asked for."""
    if changes.further is not None:
        replace_further(draws, changes.further)
    if changes.pots is not None:
        replace_pots(draws, changes.pots)


def close_own_budgets(own: Budget, draws: Iterable[FurtherDraw]) -> None:
    """Their owner is gone: the open windows end now, and every window stays. Pots go on."""
    further, _ = split_draws(draws)
    budgets = [own, *further]
    lock_windows(budgets)
    for budget in budgets:
        close_budget(budget)


def describe_budget(budget: Budget) -> dict[str, Any]:
    """A budget's terms as plain values, for the audit."""
    terms = {term: getattr(budget, term) for term in TERMS}
    for term in ("limit", "soft_limit"):
        terms[term] = None if terms[term] is None else dollars_text(terms[term])
    terms["start"] = None if budget.start is None else budget.start.isoformat()
    return {"id": budget.public_id, **terms}


def describe_draws(draws: Manager[Any]) -> dict[str, Any]:
    further, pots = split_draws(_related(draws))
    return {
        "further": [describe_budget(budget) for budget in further],
        "pots": [budget.public_id for budget in pots],
    }


def _related(draws: Manager[Any]) -> QuerySet[FurtherDraw]:
    return draws.select_related("budget").order_by("position", "pk")


def _locked_pots(names: Sequence[str]) -> QuerySet[Budget]:
    """Locked in one order, so that a pot that is being deleted cannot gain a draw."""
    pots = Budget.objects.filter(is_pot=True, public_id__in=names)
    return pots.order_by("pk").select_for_update()
