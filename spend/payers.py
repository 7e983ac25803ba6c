"""Payers: who draws on a budget. The bank knows no tags and keys, only that rows point at it."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import ForeignKey, ForeignObjectRel, Model, QuerySet

from spend.buckets import Payers
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


def calls_drawing_on(pots: Iterable[Budget]) -> dict[int, Payers]:
    """Whose calls draw on each pot, by its primary key; one query for each kind of draw."""
    names: dict[int, list[Any]] = {pot.pk: [] for pot in pots}
    ids: dict[int, list[Any]] = {pk: [] for pk in names}
    if not names:
        return {}
    for rel in _draw_relations():
        column = _calls_column(rel)
        lists = names if column == "name" else ids
        rows = rel.related_model._default_manager.filter(budget__in=names).order_by()
        for pk, value in rows.values_list("budget_id", f"{_drawer(rel)}__{column}"):
            lists[pk].append(value)
    return {pk: Payers(tuple(sorted(names[pk])), tuple(sorted(ids[pk]))) for pk in names}


def _calls_column(rel: Any) -> str:
    """What a call says of the drawer: a tag's name, else an id."""
    drawer = rel.related_model._meta.get_field(_drawer(rel)).related_model
    return "name" if any(field.name == "name" for field in drawer._meta.fields) else "pk"


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
