"""Routing: the deployment that serves a call, within what its key and tags allow."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from proxy.call import Call
from proxy.catalogue import allows
from proxy.deployment_cards import DeploymentCard
from proxy.directory import Directory
from proxy.errors import Failure, bad_request
from proxy.past_responses import find_maker
from proxy.tag_routing import narrow_by_tags
from proxy.tagging import CollectedTags
from proxy.upstreams import dialects
from proxy.upstreams.contract import Dialect, Timeouts
from spend.pricing import FREE, UNPRICED, Tariff

ROUTE_MARGIN_SECONDS = 60  # past total and drain, a hold is nobody's any more


@dataclass(frozen=True, slots=True)
class Route:
    """The deployment to try, how it is spoken to, and what it costs."""

    card: DeploymentCard
    dialect: Dialect
    tariff: Tariff
    timeouts: Timeouts

    @property
    def upstream_model(self) -> str:
        return self.card.upstream_model

    @property
    def hold_seconds(self) -> int:
        return int(self.timeouts.total_seconds) + settings.DRAIN_SECONDS + ROUTE_MARGIN_SECONDS


async def choose_route(call: Call, tags: CollectedTags, directory: Directory) -> Route:
    """Raises Failure: unknown model, not allowed for key or tag, wrong endpoint, no price."""
    catalogue = await directory.catalogue()
    cards = catalogue.find(call.model)
    if not cards:
        text = f"The model '{call.model}' does not exist."
        raise Failure(404, "model_not_found", text, "model")
    cards = _allowed_cards(call, tags, cards)
    speaking = [card for card in cards if call.endpoint.name in dialects.endpoints_of(card)]
    if not speaking:
        text = f"The model '{call.model}' cannot serve {call.endpoint.name}."
        raise bad_request("unsupported_endpoint", text, "model")
    ready = [card for card in _led(speaking, tags) if not card.is_locked]
    if not ready:
        text = "The upstream's credential cannot be opened. An administrator must look at it."
        raise Failure(502, "upstream_auth_error", text)
    chosen = ready[0] if len(ready) == 1 else await _choose(call, ready, directory)
    card = chosen.for_model(call.model)
    return Route(
        card=card,
        dialect=dialects.dialect_of(card),
        tariff=_tariff(card, call),
        timeouts=_timeouts(card, stream=call.stream),
    )


def _allowed_cards(
    call: Call, tags: CollectedTags, cards: Sequence[DeploymentCard]
) -> Sequence[DeploymentCard]:
    left = [card for card in cards if allows(call.key.allowed_models, call.model, card)]
    if not left:
        text = f"This key may not use the model '{call.model}'."
        raise Failure(403, "key_model_access_denied", text, "model")
    for tag in tags.cards:
        left = [card for card in left if allows(tag.allowed_models, call.model, card)]
        if not left:
            text = f"Calls with the tag '{tag.name}' may not use the model '{call.model}'."
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


async def _choose(
    call: Call, cards: Sequence[DeploymentCard], directory: Directory
) -> DeploymentCard:
    """What goes on from an earlier answer goes to whoever made that: others do not have it."""
    continues = call.endpoint.continues
    if continues and (earlier := call.body.get(continues)):
        maker = await directory.ask("maker", earlier, lambda: find_maker(earlier))
        for card in cards:
            if card.id == maker:
                return card
    return _pick(cards)


def _pick(cards: Sequence[DeploymentCard]) -> DeploymentCard:
    """Lowest order, then by chance in proportion to weight."""
    first = min(card.order for card in cards)
    ready = [card for card in cards if card.order == first]
    weights = [card.weight for card in ready]
    return random.choices(ready, weights if any(weights) else None)[0]


def _tariff(card: DeploymentCard, call: Call) -> Tariff:
    endpoint = call.endpoint
    if card.tariff is not None and not endpoint.is_free:
        return card.tariff
    if endpoint.is_free or endpoint.is_free_unless_priced:
        return FREE
    if settings.UNPRICED_MODELS == "allow":
        return UNPRICED
    text = f"The model '{call.model}' has no price. An administrator must set one."
    raise bad_request("model_not_priced", text, "model")


def _timeouts(card: DeploymentCard, *, stream: bool) -> Timeouts:
    total = settings.STREAM_TOTAL_SECONDS if stream else settings.TOTAL_SECONDS
    if stream:
        first_byte = card.stream_timeout_seconds or settings.STREAM_FIRST_BYTE_SECONDS
    else:
        first_byte = card.timeout_seconds or settings.FIRST_BYTE_SECONDS
        total = card.timeout_seconds or total
    return Timeouts(
        connect_seconds=settings.CONNECT_SECONDS,
        first_byte_seconds=first_byte,
        between_chunks_seconds=settings.BETWEEN_CHUNKS_SECONDS,
        total_seconds=total,
    )
