"""Model lists: the models that a key may use, as OpenAI's clients read them, or as Anthropic's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from proxy.deployment_cards import DeploymentCard
from proxy.wire import time_text

Found = Mapping[str, Sequence[DeploymentCard]]  # by name, each with what serves it


def openai_list(found: Found) -> dict[str, Any]:
    return {"object": "list", "data": [openai_model(name, found[name]) for name in found]}


def openai_model(name: str, cards: Sequence[DeploymentCard]) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": int(_created(cards).timestamp()),
        "owned_by": cards[0].provider,
    }


def anthropic_list(found: Found) -> dict[str, Any]:
    """One page, however many there are."""
    names = list(found)
    return {
        "data": [anthropic_model(name, found[name]) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }


def anthropic_model(name: str, cards: Sequence[DeploymentCard]) -> dict[str, Any]:
    created = time_text(_created(cards))
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


def _created(cards: Sequence[DeploymentCard]) -> datetime:
    return min(card.created_at for card in cards)
