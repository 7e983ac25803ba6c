"""Routing: the deployment that serves a call, within what its key and tags allow."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from django.conf import settings

from proxy.call import Call
from proxy.catalogue import Catalogue, allows
from proxy.cooldown import Cooldowns
from proxy.deployment_cards import DeploymentCard
from proxy.directory import Directory
from proxy.errors import Failure, bad_request
from proxy.past_responses import find_maker
from proxy.patience import patience_with
from proxy.tag_routing import narrow_by_tags
from proxy.tagging import CollectedTags
from proxy.upstreams import dialects
from proxy.upstreams.contract import Dialect, Timeouts
from proxy.wishes import NO_WISHES, Wishes
from spend.pricing import FREE, UNPRICED, Tariff

ROUTE_MARGIN_SECONDS = 60  # past total and drain, a hold is nobody's any more


@dataclass(frozen=True, slots=True)
class Route:
    """The deployment to try, how it is spoken to, and what it costs.

    `cards` are all that may serve the call by this name, `seconds` what all its attempts may take.
    """

    model: str
    card: DeploymentCard
    dialect: Dialect
    tariff: Tariff
    timeouts: Timeouts
    cards: Sequence[DeploymentCard]
    seconds: float

    @property
    def upstream_model(self) -> str:
        return self.card.upstream_model

    @property
    def hold_seconds(self) -> int:
        return int(self.seconds) + settings.DRAIN_SECONDS + ROUTE_MARGIN_SECONDS


async def choose_route(
    call: Call,
    model: str,
    tags: CollectedTags,
    directory: Directory,
    cooldowns: Cooldowns,
    wishes: Wishes = NO_WISHES,
) -> Route:
    """Raises Failure: unknown model, not allowed for key or tag, wrong endpoint, no price; all
    deployments cooling."""
    cards = _serving_cards(call, model, tags, await directory.catalogue())
    if call.endpoint.continues:
        cards = await _makers(call, cards, directory)
    if cooldowns.is_quiet:
        card = cards[0] if len(cards) == 1 else pick_card(cards)
    else:
        card = pick_card(healthy_cards(cards, model, cooldowns))
    return route_to(card, cards, call, model, wishes)


def _serving_cards(
    call: Call, model: str, tags: CollectedTags, catalogue: Catalogue
) -> Sequence[DeploymentCard]:
    """Those that may serve the call by this name. Raises Failure if there is none."""
    cards = catalogue.find(model)
    if not cards:
        raise Failure(404, "model_not_found", f"The model '{model}' does not exist.", "model")
    cards = _allowed_cards(call, model, tags, cards)
    speaking = [card for card in cards if call.endpoint.name in dialects.endpoints_of(card)]
    if not speaking:
        text = f"The model '{model}' cannot serve {call.endpoint.name}."
        raise bad_request("unsupported_endpoint", text, "model")
    ready = [card for card in _led(speaking, tags) if not card.is_locked]
    if not ready:
        text = "The upstream's credential cannot be opened. An administrator must look at it."
        raise Failure(502, "upstream_auth_error", text)
    return ready


def route_to(
    card: DeploymentCard,
    cards: Sequence[DeploymentCard],
    call: Call,
    model: str,
    wishes: Wishes,
) -> Route:
    """Raises Failure if it has no price."""
    card = card.for_model(model)
    timeouts, seconds = patience_with(card, stream=call.stream, seconds=wishes.seconds)
    return Route(
        model=model,
        card=card,
        dialect=dialects.dialect_of(card),
        tariff=_tariff(card, call, model),
        timeouts=timeouts,
        cards=cards,
        seconds=seconds,
    )


def _allowed_cards(
    call: Call, model: str, tags: CollectedTags, cards: Sequence[DeploymentCard]
) -> Sequence[DeploymentCard]:
    left = [card for card in cards if allows(call.key.allowed_models, model, card)]
    if not left:
        text = f"This key may not use the model '{model}'."
        raise Failure(403, "key_model_access_denied", text, "model")
    for tag in tags.cards:
        left = [card for card in left if allows(tag.allowed_models, model, card)]
        if not left:
            text = f"Calls with the tag '{tag.name}' may not use the model '{model}'."
            raise Failure(403, "tag_model_access_denied", text, "model")
    return left


def _led(cards: Sequence[DeploymentCard], tags: CollectedTags) -> Sequence[DeploymentCard]:
    mode = cards[0].terms.get("tag_routing") or settings.TAG_ROUTING
    if mode == "off":
        return cards
    led = narrow_by_tags(cards, tags.names, mode=mode)
    if not led:
        text = f"No deployment of the model fits the tags {', '.join(tags.names)}."
        raise Failure(403, "no_deployment_for_tags", text, "metadata.tags")
    return led


async def _makers(
    call: Call, cards: Sequence[DeploymentCard], directory: Directory
) -> Sequence[DeploymentCard]:
    """What goes on from an earlier answer goes to whoever made that: others do not have it."""
    if earlier := call.body.get(call.endpoint.continues):
        maker = await directory.ask("maker", earlier, lambda: find_maker(earlier))
        return [card for card in cards if card.id == maker] or cards
    return cards


def pick_card(cards: Sequence[DeploymentCard]) -> DeploymentCard:
    """Lowest order, then by chance in proportion to weight. Raises Failure if there is none."""
    if not cards:
        raise no_healthy_deployment()
    if len(cards) == 1:
        return cards[0]
    first = min(card.order for card in cards)
    ready = [card for card in cards if card.order == first]
    weights = [card.weight for card in ready]
    return random.choices(ready, weights if any(weights) else None)[0]


def healthy_cards(
    cards: Sequence[DeploymentCard], model: str, cooldowns: Cooldowns
) -> Sequence[DeploymentCard]:
    return [card for card in cards if not cooldowns.is_cooling(card.for_model(model))]


def no_healthy_deployment() -> Failure:
    text = "All deployments of the model have failed lately. Please try again in a moment."
    headers = {"Retry-After": str(max(1, ceil(settings.COOLDOWN_SECONDS)))}
    return Failure(503, "no_healthy_deployment", text, headers=headers)


def _tariff(card: DeploymentCard, call: Call, model: str) -> Tariff:
    endpoint = call.endpoint
    if card.tariff is not None and not endpoint.is_free:
        return card.tariff
    if endpoint.is_free or endpoint.is_free_unless_priced:
        return FREE
    if settings.UNPRICED_MODELS == "allow":
        return UNPRICED
    text = f"The model '{model}' has no price. An administrator must set one."
    raise bad_request("model_not_priced", text, "model")
