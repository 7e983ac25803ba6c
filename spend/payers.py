"""Payers: who draws on a budget. The bank knows no tags and keys, only that rows point at it."""

from collections.abc import Iterator
from typing import Any

from django.db.models import ForeignKey, ForeignObjectRel, Model, QuerySet

from spend.models import Budget, FurtherDraw


def with_payers(budgets: QuerySet[Budget]) -> QuerySet[Budget]:
    """Each budget with its owner and its draws, in a fixed number of queries."""
    owners = [_accessor(rel) for rel in _owner_relations()]
    draws = [f"{_accessor(rel)}__{_drawer(rel)}" for rel in _draw_relations()]
    return budgets.select_related(*owners).prefetch_related(*draws)


def payers_of(budget: Budget) -> list[Model]:
    """Rows: the owner, then whoever draws on it beside a budget of his own."""
    owners = [getattr(budget, _accessor(rel), None) for rel in _owner_relations()]
    drawers = [
        getattr(draw, _drawer(rel))
        for rel in _draw_relations()
        for draw in getattr(budget, _accessor(rel)).all()
    ]
    return [payer for payer in (*owners, *drawers) if payer is not None]


def _owner_relations() -> Iterator[Any]:
    return (rel for rel in Budget._meta.related_objects if rel.one_to_one)


def _draw_relations() -> Iterator[Any]:
    related = Budget._meta.related_objects
    return (rel for rel in related if issubclass(rel.related_model, FurtherDraw))


def _accessor(rel: ForeignObjectRel) -> str:
    return str(rel.get_accessor_name())


def _drawer(rel: Any) -> str:
    """The field of a concrete draw that says who draws."""
    fields = rel.related_model._meta.fields
    return next(f.name for f in fields if isinstance(f, ForeignKey) and f.name != "budget")
