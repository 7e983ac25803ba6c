"""Bulk: one change of many tags, all or none; the tag that cannot change is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from spend.models import Budget
from spend.money import Nanos
from spend.rollover import database_now
from tags.access import CREATE, EDIT
from tags.actions import adopt_tags, change_tag, raise_tag_window
from tags.budget_rows import first_shown, read_budget_rows
from tags.changes import Changes
from tags.draws import lock_windows
from tags.errors import Invalid, TurnedDown
from tags.models import Tag, TagDraw

TAGS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of each: which of it counts is the act's affair."""

    limit: Nanos | None = None
    percent: int = 0
    owner: AbstractUser | None = None
    terms: Mapping[str, object] | None = None  # of the budget of a tag that is adopted
    actor: str = ""


Change = Callable[[str, Wish], object]


@dataclass(frozen=True, slots=True)
class Act:
    """`text` is on the button, `saying` is what will be; `asks` is the field that it needs."""

    text: str
    needs: str
    saying: str
    change: Change
    asks: str = ""
    of_seen: bool = False


def _set_limit(name: str, wish: Wish) -> None:
    change_tag(name, Changes(budget={"limit": wish.limit}), actor=wish.actor)


def _raise(name: str, wish: Wish) -> None:
    rows = read_budget_rows(Tag.objects.with_budgets().get(name=name), database_now())
    row = first_shown(rows)
    if row.standing.limit is None:
        raise Invalid("has no limit to raise", "limit")
    more = row.raised_by(wish.percent)
    raise_tag_window(name, more, budget_id=row.budget.public_id, actor=wish.actor)


def _block(name: str, wish: Wish) -> None:
    change_tag(name, Changes({"blocked": True}), actor=wish.actor)


def _unblock(name: str, wish: Wish) -> None:
    change_tag(name, Changes({"blocked": False}), actor=wish.actor)


def _add_owner(name: str, wish: Wish) -> None:
    owners = list(Tag.objects.get(name=name).owners.all())
    change_tag(name, Changes(owners=[*owners, wish.owner]), actor=wish.actor)


def _adopt(name: str, wish: Wish) -> None:
    adopt_tags([name], Changes(budget=dict(wish.terms or {})), actor=wish.actor)


ACTS: dict[str, Act] = {
    "limit": Act("Set budget", EDIT, "Each gets this limit on its own budget.", _set_limit,
                 "limit"),
    "raise": Act("Raise", EDIT, "The open window of the budget that each shows is raised, for this"
                 " window only.", _raise, "percent"),
    "block": Act("Block", EDIT, "Calls with these tags are refused from now on. Nothing else"
                 " changes.", _block),
    "unblock": Act("Unblock", EDIT, "Calls with these tags are admitted again, as far as their"
                   " budgets go.", _unblock),
    "owner": Act("Add owner", EDIT, "Whoever is named sees these tags and their calls.",
                 _add_owner, "owner"),
    "adopt": Act("Adopt", CREATE, "Each becomes a tag without a limit.", _adopt, of_seen=True),
}  # fmt: skip


class Stopped(TurnedDown):
    """One could not change, so none has."""


@transaction.atomic
def change_all(act: Act, names: Sequence[str], wish: Wish) -> None:
    """Raises Stopped, naming the tag; nothing has changed then.

    Rows are locked in the order that everybody uses before the first of them changes: tags, then
    budgets, then windows, each by id.
    """
    _lock(names)
    for name in sorted(names):
        try:
            act.change(name, wish)
        except TurnedDown as refusal:
            raise Stopped(f"{name}: {refusal.text}", refusal.field) from None


def _lock(names: Sequence[str]) -> None:
    tags = Tag.objects.filter(name__in=names).order_by("pk")
    found = list(tags.select_for_update().values_list("pk", "budget_id"))
    further = TagDraw.objects.filter(tag__in=[pk for pk, _ in found]).values("budget")
    own = [budget_id for _, budget_id in found]
    lock_windows([*Budget.objects.filter(pk__in=own), *Budget.objects.filter(pk__in=further)])
