"""Pots: create, change and delete budgets that several tags and keys draw on.

Each verb is one transaction. Who draws is asked of every kind of draw there is, so that this file
need not know them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from spend.audit import record_change
from spend.budgets import change_budget, close_budget, create_budget
from spend.models import Budget, FurtherDraw
from spend.models.accounts import new_public_id
from tags.draws import describe_budget
from tags.errors import InUse, NotThere, Taken


@transaction.atomic
def create_pot(name: str | None, terms: Mapping[str, Any], *, actor: str) -> Budget:
    """Raises Taken when there is a budget of that name; without one it gets an id of its own."""
    try:
        with transaction.atomic():
            pot = create_budget(public_id=name or new_public_id(), is_pot=True, **terms)
    except IntegrityError:
        raise Taken(f"A budget named '{name}' exists already.", "budget_id") from None
    record_change(actor, "create", "pot", pot.public_id, after=describe_budget(pot))
    return pot


@transaction.atomic
def change_pot(name: str, changes: Mapping[str, Any], *, actor: str) -> Budget:
    """Raises NotThere. Counts at once for all who draw on it."""
    pot = _locked(name, "budget_id")
    before = describe_budget(pot)
    change_budget(pot, changes)
    after = describe_budget(pot)
    if after != before:
        for draws in _draws_on(pot):
            draws.update(position=F("position"))  # workers read its soft limit from their cards
        record_change(actor, "change", "pot", name, before=before, after=after)
    return pot


@transaction.atomic
def delete_pot(name: str, *, actor: str) -> None:
    """Its windows stay, and its name is free again. Raises NotThere, or InUse while one draws."""
    pot = _locked(name, "id")
    if any(draws.exists() for draws in _draws_on(pot)):
        raise InUse(f"A tag or key still draws on the budget '{name}'.", "id")
    before = describe_budget(pot)
    pot.public_id, pot.is_pot = new_public_id(), False
    pot.save()
    close_budget(pot)
    record_change(actor, "delete", "pot", name, before=before)


def _locked(name: str, field: str) -> Budget:
    pot = Budget.objects.select_for_update().filter(public_id=name, is_pot=True).first()
    if pot is None:
        raise NotThere(f"There is no shared budget '{name}'.", field)
    return pot


def _draws_on(pot: Budget) -> Iterator[QuerySet[FurtherDraw]]:
    for relation in Budget._meta.related_objects:
        if issubclass(relation.related_model, FurtherDraw):
            yield relation.related_model._default_manager.filter(budget=pot)
