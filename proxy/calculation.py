"""Calculation: what a call costs, or would cost and at most; nothing is held and nothing is sent.

Three forms: a model with `messages`, `input` or `prompt`; a model with `usage`; or a
`completion_response`, which has both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from proxy.call import Call, parse_body, read_call
from proxy.catalogue import allows, load_catalogue
from proxy.deployment_cards import DeploymentCard
from proxy.endpoints import CHAT
from proxy.errors import Failure, bad_request
from proxy.key_answers import drawn_budget
from proxy.key_cards import KeyCard
from proxy.sizing import size_of
from proxy.wire import write_json
from spend.errors import ModelNotPriced
from spend.estimate import Estimate, estimate_cost
from spend.ids import CallIds
from spend.ledger import Draw
from spend.models import Budget, BudgetMode
from spend.money import price_dollars, to_dollars
from spend.pricing import UNPRICED, Tariff, breakdown, cost
from spend.standings import Standing, read_standings
from spend.usage import Usage
from tags.cards import card_of as tag_card_of
from tags.models import Tag

PROMPTS = ("messages", "input", "prompt")
INCOMPLETE = (
    "Send a model with messages, input or prompt; a model with usage; or a completion_response."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call costs by one price; `bound` is None where no upper bound can be proven."""

    model: str
    tariff: Tariff
    expected: int
    bound: int | None
    parts: Mapping[str, int]


def calculate(body: Mapping[str, Any], tags: Sequence[str], key: KeyCard) -> dict[str, Any]:
    """Raises Failure for a form that is not whole, an unknown model, or one without a price."""
    try:
        answer = _answer(body, key)
    except ModelNotPriced as error:
        raise _unpriced(body.get("model"), error.kind) from None
    draws = list(_draws(tags, key))
    budgets = Budget.objects.in_bulk([draw.budget for draw in draws])
    standings = read_standings(budgets.values())
    return {
        "cost": to_dollars(answer.expected),
        "upper_bound": None if answer.bound is None else to_dollars(answer.bound),
        "model": answer.model,
        "price_id": answer.tariff.price_id,
        "breakdown": {kind: price_dollars(picos) for kind, picos in answer.parts.items()},
        "budgets": [
            drawn_budget(
                draw,
                budgets[draw.budget],
                standings[draw.budget],
                requested=_requested(budgets[draw.budget], answer) or 0,
            )
            for draw in draws
        ],
        "admitted": all(
            _has_room(budgets[draw.budget], standings[draw.budget], answer) for draw in draws
        ),
    }


def _answer(body: Mapping[str, Any], key: KeyCard) -> Answer:
    answered = body.get("completion_response")
    if isinstance(answered, Mapping):
        return _metered(answered, key)
    if isinstance(body.get("usage"), Mapping):
        return _metered(body, key)
    if any(body.get(name) for name in PROMPTS):
        return _estimated(body, key)
    raise bad_request("invalid_parameter", INCOMPLETE)


def _metered(body: Mapping[str, Any], key: KeyCard) -> Answer:
    model = body.get("model")
    usage = _usage(body.get("usage"))
    if not isinstance(model, str) or usage is None:
        text = (
            "The usage must count the tokens of both sides, as prompt_tokens and completion_tokens"
            " or as input_tokens and output_tokens, and there must be a model."
        )
        raise bad_request("invalid_parameter", text, "usage")
    card = _dearest(_cards(model, key), usage)
    tariff = _tariff(card, model)
    tier = body.get("service_tier")
    tier = tier if isinstance(tier, str) else None
    amount = cost(usage, tariff, service_tier=tier)
    return Answer(model, tariff, amount, amount, breakdown(usage, tariff, service_tier=tier))


def _usage(told: object) -> Usage | None:
    """By the dialect it is in. Anthropic's counts leave cached tokens out of `input_tokens`, those
    of a response have them inside, and a total beside."""
    if isinstance(told, Mapping) and "input_tokens" in told:
        is_response = "total_tokens" in told or "input_tokens_details" in told
        return Usage.from_responses(told) if is_response else Usage.from_anthropic(told)
    return Usage.from_openai(told)


def _estimated(body: Mapping[str, Any], key: KeyCard) -> Answer:
    asked = {name: value for name, value in body.items() if name != "tags"}
    call = _as_call(_as_chat(asked), key)
    cards = _cards(call.model, key)
    tariffs = [(_tariff(card, call.model), card.limits) for card in cards]
    generates = cards[0].mode != "embedding"
    size = replace(size_of(call), may_generate=generates)
    estimate: Estimate = estimate_cost(size, tariffs, strict_max_output=settings.STRICT_MAX_OUTPUT)
    return Answer(call.model, tariffs[0][0], estimate.expected, estimate.bound, {})


def _as_chat(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A prompt that is a text, as the message that it would be: a chat adds tokens, never less.

    A prompt that is an object is stored at the provider's, and has no bound.
    """
    prompt = body.get("prompt")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not all(isinstance(text, str) for text in prompts):
        return body
    rest = {name: value for name, value in body.items() if name != "prompt"}
    given = rest.get("messages")
    messages = [{"role": "user", "content": text} for text in prompts]
    return {**rest, "messages": [*given, *messages] if isinstance(given, list) else messages}


def _as_call(body: Mapping[str, Any], key: KeyCard) -> Call:
    raw = write_json(body)  # numbers that are Decimals here are plain ones to a call
    return read_call(
        call_id=CallIds().next(),
        endpoint=CHAT,
        key=key,
        raw=raw,
        body=parse_body(raw),
        headers={},
        address=None,
    )


def _cards(model: str, key: KeyCard) -> list[DeploymentCard]:
    """The deployments that serve a model; an answer may name the upstream's model instead."""
    catalogue = load_catalogue()
    found = catalogue.find(model) or [
        card for card in catalogue.cards if card.upstream_model == model
    ]
    if not found:
        raise Failure(404, "model_not_found", f"The model '{model}' does not exist.", "model")
    allowed = [card for card in found if allows(key.allowed_models, card.model_name, card)]
    if not allowed:
        text = f"This key may not use the model '{model}'."
        raise Failure(403, "key_model_access_denied", text, "model")
    return [card.for_model(model) for card in allowed]


def _dearest(cards: Sequence[DeploymentCard], usage: Usage) -> DeploymentCard:
    priced = [card for card in cards if card.tariff is not None]
    if not priced:
        return cards[0]
    return max(priced, key=lambda card: cost(usage, card.tariff or UNPRICED))


def _tariff(card: DeploymentCard, model: str) -> Tariff:
    if card.tariff is not None:
        return card.tariff
    if settings.UNPRICED_MODELS == "allow":
        return UNPRICED
    raise _unpriced(model, "tokens")


def _unpriced(model: object, kind: str) -> Failure:
    text = f"The model '{model}' has no price for {kind}. An administrator must set one."
    return bad_request("model_not_priced", text, "model")


# -- budgets -------------------------------------------------------------------------------------


def _draws(tags: Sequence[str], key: KeyCard) -> Iterable[Draw]:
    """Those of the tags in their order, then the key's; a budget that several share once."""
    names = list(dict.fromkeys([*tags, *key.default_tags]))
    stored = {tag.name: tag for tag in Tag.objects.with_budgets().filter(name__in=names)}
    draws = [draw for name in names if name in stored for draw in tag_card_of(stored[name]).draws]
    once: dict[int, Draw] = {}
    for draw in (*draws, *key.draws):
        once.setdefault(draw.budget, draw)
    return once.values()


def _requested(budget: Budget, answer: Answer) -> int | None:
    return answer.bound if budget.mode == BudgetMode.STRICT else answer.expected


def _has_room(budget: Budget, standing: Standing, answer: Answer) -> bool:
    """As spend/sql/reserve.sql decides, at this moment; only there it counts."""
    if standing.limit is None:
        return True
    taken = standing.spent + standing.reserved
    if budget.mode != BudgetMode.STRICT:
        return taken < standing.limit
    return answer.bound is not None and taken + answer.bound <= standing.limit
