"""Which dialect a deployment speaks, and for which endpoints."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from proxy.upstreams import anthropic, azure, openai
from proxy.upstreams.contract import Dialect

if TYPE_CHECKING:
    from proxy.deployment_cards import DeploymentCard

DIALECTS: Mapping[str, Dialect] = {"openai": openai, "azure": azure, "anthropic": anthropic}


def dialect_of(card: "DeploymentCard") -> Dialect:
    return DIALECTS[card.dialect]


def endpoints_of(card: "DeploymentCard") -> Sequence[str]:
    """What a deployment can serve: what its dialect speaks, or what of it the deployment says."""
    dialect = DIALECTS.get(card.dialect)
    if dialect is None:
        return ()
    declared = card.terms.get("supported_endpoints")
    if not declared:
        return dialect.endpoints
    spoken = (*dialect.endpoints, *dialect.on_request)
    return [endpoint for endpoint in spoken if endpoint in declared]
