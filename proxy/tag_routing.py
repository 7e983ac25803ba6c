"""Tag routing: which deployments of a model a call's tags lead to (wire contract, 9)."""

from collections.abc import Sequence

from proxy.deployment_cards import DeploymentCard

DEFAULT = "default"  # marks the deployments for calls that no tag leads elsewhere


def narrow_by_tags(
    cards: Sequence[DeploymentCard], tags: Sequence[str], *, mode: str
) -> Sequence[DeploymentCard]:
    """Those that may serve the call, in `mode` "any" or "all"; empty if its tags lead nowhere.

    Only tags that stand on some deployment of the model lead anywhere, so budget tags that no
    deployment knows disturb nothing; a call's own tag "default" does not lead either.
    """
    known = frozenset().union(*(card.tags for card in cards)) - {DEFAULT}
    leading = known.intersection(tags)
    if not leading:
        return [card for card in cards if DEFAULT in card.tags] or cards
    if mode == "all":
        return [card for card in cards if leading <= card.tags]
    return [card for card in cards if leading & card.tags]
