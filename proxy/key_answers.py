"""Key answers: keys as the wire has them, with what their open windows hold."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.timezone import now

from proxy.key_cards import card_of
from proxy.models import APIKey
from spend.ledger import Draw
from spend.models import Budget
from spend.money import to_dollars
from spend.standings import Standing, read_standings
from tags.answers import litellm_table, own_budgets, owner_members
from tags.budget_fields import dollars
from tags.cards import card_of as tag_card_of
from tags.models import Tag


def key_objects(keys: Iterable[APIKey]) -> list[dict[str, Any]]:
    """Keys that were read `with_budgets()`; two queries however many they are."""
    listed = list(keys)
    budgets = [budget for key in listed for budget in own_budgets(key.budget, key.draws.all())]
    standings = read_standings(budgets)
    return [_key_object(key, standings, now()) for key in listed]


def drawn_budgets(key: APIKey) -> list[dict[str, Any]]:
    """Every budget that calls with this key and its default tags draw on, each once, in order."""
    draws: dict[int, Draw] = {}
    for draw in _draws_of_calls(key):
        draws.setdefault(draw.budget, draw)
    budgets = Budget.objects.in_bulk(list(draws))
    standings = read_standings(budgets.values())
    return [
        drawn_budget(draw, budgets[pk], standings[pk])
        for pk, draw in draws.items()
        if pk in budgets
    ]


def status_of(key: APIKey, at: datetime) -> str:
    if key.blocked:
        return "blocked"
    return "expired" if key.expires_at is not None and key.expires_at <= at else "active"


def _key_object(key: APIKey, standings: Mapping[int, Standing], at: datetime) -> dict[str, Any]:
    members = {
        "key_name": key.masked,
        "key_alias": key.alias,
        "key_id": key.id,
        "token": key.digest,
        "token_id": key.digest,
        "status": status_of(key, at),
        "expires": key.expires_at,
        "user_id": key.metadata.get("user_id"),
        "models": key.allowed_models,
        "metadata": key.metadata,
        "allowed_tags": key.allowed_tags,
        "required_tags": key.required_tags,
        "blocked": key.blocked,
        **owner_members(key, standings),
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "created_by": key.created_by,
    }
    return members | {"litellm_budget_table": litellm_table(members)}


def _draws_of_calls(key: APIKey) -> list[Draw]:
    card = card_of(key)
    tags = Tag.objects.with_budgets().filter(name__in=card.default_tags)
    found = {tag.name: tag_card_of(tag).draws for tag in tags}
    return [*(draw for name in card.default_tags for draw in found.get(name, ())), *card.draws]


def drawn_budget(
    draw: Draw, budget: Budget, standing: Standing, *, requested: int = 0
) -> dict[str, Any]:
    """The shape of `budget` beside an error."""
    kind, _, name = draw.payer.partition(":")
    return {
        "tag": name if kind == "tag" else None,
        "key_alias": name if kind == "key" else None,
        "budget_id": budget.public_id,
        "mode": budget.mode,
        "spent": to_dollars(standing.spent),
        "reserved": to_dollars(standing.reserved),
        "requested": to_dollars(requested),
        "limit": dollars(standing.limit),
        "remaining": dollars(standing.remaining),
        "duration": budget.duration,
        "starts_at": standing.starts_at,
        "resets_at": standing.resets_at,
    }
