"""Which dialect a deployment speaks, and for which endpoints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.upstreams import openai
from proxy.upstreams.contract import Dialect

if TYPE_CHECKING:
    from proxy.deployment_cards import DeploymentCard

# Providers whose form is not OpenAI's; whoever is not named here speaks it.
FOREIGN: dict[str, Dialect | None] = {"anthropic": None, "azure": None}


def dialect_of(card: "DeploymentCard") -> Dialect:
    return FOREIGN.get(card.provider) or openai


def endpoints_of(card: "DeploymentCard") -> Sequence[str]:
    """What a deployment can serve: its dialect's endpoints, unless its terms name them."""
    if card.provider in FOREIGN and FOREIGN[card.provider] is None:
        return ()
    declared = card.terms.get("supported_endpoints")
    if declared:
        return [endpoint for endpoint in openai.endpoints if endpoint in declared]
    return openai.endpoints
