"""Actions: create, change, adopt, delete tags, raise and reset their windows; page, API, admin.

Each is one transaction, in which tag, budgets and windows change together or not at all, and in
which the audit hears who did it.
"""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from spend.audit import record_change
from spend.budgets import change_budget, create_budget, limit_window, reset_budget
from spend.models import Budget, TagSet
from spend.money import Nanos, dollars_text
from tags.changes import Changes
from tags.draws import (
    close_own_budgets,
    describe_budget,
    describe_draws,
    lock_windows,
    replace_draws,
    split_draws,
)
from tags.errors import Invalid, NotThere, Stale, Taken
from tags.models import Tag

COLUMNS = (
    "description", "allowed_models", "tpm_limit", "rpm_limit", "max_parallel_requests", "blocked",
)  # fmt: skip


@transaction.atomic
def create_tag(name: str, changes: Changes, *, actor: str) -> Tag:
    """Raises Taken when there is a tag of that name, Invalid when a pot does not exist."""
    return _create(name, changes, "create", actor)


@transaction.atomic
def adopt_tags(names: Sequence[str], changes: Changes, *, actor: str) -> list[Tag]:
    """Make tags of names that calls have carried, all or none; each gets a budget of its own.

    Raises NotThere for a name that no call ever carried, Taken for one that is a tag already.
    """
    for name in names:
        if not TagSet.objects.filter(tags__contains=[name]).exists():
            raise NotThere(f"No call has carried the tag '{name}'.", "names")
    return [_create(name, changes, "adopt", actor, field="names") for name in names]


@transaction.atomic
def change_tag(name: str, changes: Changes, *, actor: str, version: str | None = None) -> Tag:
    """Change what is said and nothing else; saying what is so already changes nothing.

    `version` is that of the tag that was read. Raises NotThere, Stale when it has changed since,
    or Invalid when a pot does not exist.
    """
    tag = _locked(name)
    if version is not None and version != version_of(tag):
        raise Stale(f"'{name}' has been changed since it was read.")
    before = describe_tag(tag)
    further, _ = split_draws(tag.draws.all())
    lock_windows([tag.budget, *further])
    for column, value in changes.columns.items():
        setattr(tag, column, value)
    change_budget(tag.budget, changes.budget)
    replace_draws(tag.draws, changes)
    _replace_owners(tag, changes)
    after = describe_tag(tag)
    if after != before:
        tag.save()
        record_change(actor, "change", "tag", name, before=before, after=after)
    return _read(tag)


@transaction.atomic
def delete_tag(name: str, *, actor: str) -> None:
    """Its budgets and windows stay, for the history; pots go on without it. Raises NotThere."""
    tag = _locked(name)
    before = describe_tag(tag)
    own, draws = tag.budget, list(tag.draws.all())
    tag.delete()
    close_own_budgets(own, draws)
    record_change(actor, "delete", "tag", name, before=before)


@transaction.atomic
def reset_tag_spend(
    name: str, *, budget_id: str | None = None, reason: str = "", actor: str
) -> Tag:
    """Start the open window of its own budget, or of one of its further ones, anew at nothing.

    Raises NotThere for an unknown tag, or a budget that is not the tag's.
    """
    tag = _locked(name)
    reset_own_budget(tag.budget, split_draws(tag.draws.all())[0], budget_id)
    reset = {"budget_id": budget_id or tag.budget.public_id}
    record_change(actor, "reset_spend", "tag", name, after=reset, reason=reason)
    return _read(tag)


@transaction.atomic
def raise_tag_window(
    name: str, limit: Nanos, *, budget_id: str | None = None, actor: str
) -> tuple[Nanos, Nanos]:
    """Raise the limit of the open window alone, of its own budget or of any that it draws on.

    The limits before and after. Raises NotThere, or Invalid where it would not be raised.
    """
    tag = _locked(name)
    further, pots = split_draws(tag.draws.all())
    budgets = {budget.public_id: budget for budget in (tag.budget, *further, *pots)}
    budget = budgets.get(budget_id or tag.budget.public_id)
    if budget is None:
        raise NotThere(f"There is no budget '{budget_id}' of its own.", "budget_id")
    before = limit_window(budget, limit)
    if before is None:
        raise Invalid("cannot be raised: there is no limit", "limit")
    if limit <= before:
        raise Invalid(f"must be above the present {dollars_text(before)} dollars", "limit")
    spoken = {"budget_id": budget.public_id, "window_limit": dollars_text(limit)}
    record_change(
        actor,
        "raise_window",
        "tag",
        name,
        before=spoken | {"window_limit": dollars_text(before)},
        after=spoken,
    )
    return before, limit


def version_of(tag: Tag) -> str:
    """Another one after each change of the tag, its budgets or its draws."""
    return tag.updated_at.isoformat()


def reset_own_budget(own: Budget, further: Sequence[Budget], budget_id: str | None) -> None:
    """Raises NotThere when `budget_id` is none of them."""
    for budget in (own, *further):
        if budget_id in (None, budget.public_id):
            reset_budget(budget)
            return
    raise NotThere(f"There is no budget '{budget_id}' of its own.", "budget_id")


def describe_tag(tag: Tag) -> dict[str, Any]:
    """A tag and its budgets as plain values, for the audit."""
    return {
        **{column: getattr(tag, column) for column in COLUMNS},
        "owners": sorted(owner.get_username() for owner in tag.owners.all()),
        "budget": describe_budget(tag.budget),
        **describe_draws(tag.draws),
    }


def _create(name: str, changes: Changes, action: str, actor: str, *, field: str = "name") -> Tag:
    budget = create_budget(**changes.budget)
    try:
        with transaction.atomic():
            tag = Tag.objects.create(
                name=name,
                budget=budget,
                created_by=actor,
                created_at=budget.anchor,
                **changes.columns,
            )
    except IntegrityError:
        raise Taken(f"A tag named '{name}' exists already.", field) from None
    replace_draws(tag.draws, changes)
    _replace_owners(tag, changes)
    record_change(actor, action, "tag", name, after=describe_tag(tag))
    return _read(tag)


def _replace_owners(tag: Tag, changes: Changes) -> None:
    """The list that was asked for, if one was."""
    if changes.owners is not None:
        tag.owners.set(changes.owners)


def _locked(name: str) -> Tag:
    tag = Tag.objects.with_budgets().select_for_update(of=("self",)).filter(name=name).first()
    if tag is None:
        raise NotThere(f"There is no tag '{name}'.", "name")
    return tag


def _read(tag: Tag) -> Tag:
    """As the rows have it now."""
    return Tag.objects.with_budgets().get(pk=tag.pk)
