"""Answers: tags as the wire has them, with what their open windows hold."""

from collections.abc import Iterable, Mapping
from typing import Any

from spend.models import Budget
from spend.money import to_dollars
from spend.standings import Standing, read_standings
from tags.budget_fields import further_members, standing_members, term_members
from tags.draws import split_draws
from tags.models import Tag
from tags.traffic import SeenTag, TagTotals

LITELLM_TABLE = (
    "budget_id", "max_budget", "soft_budget", "budget_duration", "budget_reset_at",
    "max_parallel_requests", "tpm_limit", "rpm_limit",
)  # fmt: skip


def tag_objects(tags: Iterable[Tag]) -> list[dict[str, Any]]:
    """Tags that were read `with_budgets()`; two queries however many they are."""
    listed = list(tags)
    budgets = [budget for tag in listed for budget in own_budgets(tag.budget, tag.draws.all())]
    standings = read_standings(budgets)
    return [_tag_object(tag, standings) for tag in listed]


def own_budgets(own: Budget, draws: Iterable[Any]) -> list[Budget]:
    """All but the pots, whose money is not the owner's alone."""
    return [own, *split_draws(draws)[0]]


def owner_members(owner: Any, standings: Mapping[int, Standing]) -> dict[str, Any]:
    """The budgets and rate limits of a tag or a key."""
    standing = standings[owner.budget.pk]
    further, pots = split_draws(owner.draws.all())
    return {
        **standing_members(standing),
        "total_spend": to_dollars(standing.total_spent),
        **term_members(owner.budget, standing),
        "budget_limits": [further_members(budget, standings[budget.pk]) for budget in further],
        "shared_budget_ids": [budget.public_id for budget in pots],
        "alert_thresholds": owner.budget.alert_thresholds,
        "tpm_limit": owner.tpm_limit,
        "rpm_limit": owner.rpm_limit,
        "max_parallel_requests": owner.max_parallel_requests,
    }


def litellm_table(members: Mapping[str, Any]) -> dict[str, Any]:
    """The budget's members once more, where LiteLLM's clients look for them."""
    return {name: members[name] for name in LITELLM_TABLE} | {
        "model_max_budget": None,
        "created_at": members["created_at"],
        "updated_at": members["updated_at"],
    }


def seen_object(seen: SeenTag) -> dict[str, Any]:
    """A tag that calls have carried and nobody has made."""
    return {
        "name": seen.name,
        "description": None,
        "models": None,
        "registered": False,
        "spend": to_dollars(seen.spent),
        "requests": seen.requests,
        "created_at": seen.first_at,
        "updated_at": seen.last_at,
    }


def totals_object(totals: TagTotals) -> dict[str, Any]:
    """A row of /tag/summary; LiteLLM's users are our keys."""
    return {
        "tag": totals.name,
        "unique_users": totals.keys,
        "total_requests": totals.requests,
        "successful_requests": totals.requests - totals.failed,
        "failed_requests": totals.failed,
        "total_tokens": totals.tokens,
        "total_spend": to_dollars(totals.spent),
    }


def with_message(answer: dict[str, Any], verb: str) -> dict[str, Any]:
    """LiteLLM's two further members: what happened, and the same object again."""
    message = f"Tag {answer['name']} {verb} successfully"
    return {"message": message, **answer, "tag": answer}


def _tag_object(tag: Tag, standings: Mapping[int, Standing]) -> dict[str, Any]:
    members = {
        "name": tag.name,
        "description": tag.description or None,
        "models": tag.allowed_models,
        "blocked": tag.blocked,
        **owner_members(tag, standings),
        "registered": True,
        "created_at": tag.created_at,
        "updated_at": tag.updated_at,
        "created_by": tag.created_by,
    }
    return members | {"litellm_budget_table": litellm_table(members)}
