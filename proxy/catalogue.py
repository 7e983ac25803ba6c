"""The catalogue: the models on offer as cards, found by name, alias or wildcard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from proxy.deployment_cards import DeploymentCard
from proxy.deployment_cards import load_catalogue as load_cards
from proxy.globs import fits
from spend.rollover import database_now

CURRENT_SECONDS = 30.0  # a price may start to count without any row changing


@dataclass(frozen=True, slots=True)
class Catalogue:
    cards: tuple[DeploymentCard, ...]
    loaded_at: float
    by_name: dict[str, tuple[DeploymentCard, ...]] = field(default_factory=dict)
    wildcards: tuple[DeploymentCard, ...] = ()

    @classmethod
    def of(cls, cards: Iterable[DeploymentCard]) -> "Catalogue":
        kept = tuple(cards)
        by_name: dict[str, list[DeploymentCard]] = {}
        for card in kept:
            for name in (card.model_name, *card.aliases):
                if not name.endswith("*"):
                    by_name.setdefault(name, []).append(card)
        # The longest prefix says most about what is meant.
        wildcards = sorted(
            (card for card in kept if card.model_name.endswith("*")),
            key=lambda card: -len(card.model_name),
        )
        named = {name: tuple(found) for name, found in by_name.items()}
        return cls(kept, monotonic(), named, tuple(wildcards))

    def is_current(self) -> bool:
        return monotonic() - self.loaded_at < CURRENT_SECONDS

    def find(self, model: str) -> Sequence[DeploymentCard]:
        """The deployments of a model as clients name it; those of one wildcard if none is exact."""
        if found := self.by_name.get(model):
            return found
        fitting = [card for card in self.wildcards if model.startswith(card.model_name[:-1])]
        if not fitting:
            return ()
        return [card for card in fitting if card.model_name == fitting[0].model_name]

    def names(self) -> Sequence[str]:
        """What a client may ask for by name; wildcards are found but not listed."""
        return sorted(self.by_name)


def load_catalogue() -> Catalogue:
    return Catalogue.of(load_cards(database_now()))


def allows(patterns: Sequence[str], model: str, card: DeploymentCard) -> bool:
    """Whether a list of names, globs or deployment ids lets this deployment serve this model."""
    if not patterns:
        return True
    return any(fits(model, pattern) or pattern == str(card.id) for pattern in patterns)
