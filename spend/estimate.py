"""Estimate: a call's size x a route's tariffs -> its expected cost, and an upper bound of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from spend.errors import ModelNotPriced
from spend.money import DOLLARS_MAX, NANOS_PER_DOLLAR, Nanos, round_up
from spend.pricing import Tariff, breakdown, cost_as_far_as_priced
from spend.text_bound import text_bound_bytes
from spend.usage import INPUT_KINDS, OUTPUT_KINDS, Usage

__all__ = ["Estimate", "ModelLimits", "Size", "estimate_cost", "text_bound_bytes"]

# Four bytes of a body make about one token of English. Answers to chats are around 200 to 300
# tokens long in the median, whatever maximum was asked for. The expected cost steers nothing but
# how soon a standard budget is full while calls are in flight, so a plain guess will do.
EXPECTED_BYTES_PER_TOKEN = 4
EXPECTED_OUTPUT_TOKENS = 256

# Templates put a few tokens around each message, more around each tool, and a hidden prompt in
# front of them all.
MESSAGE_TOKENS = 16
TOOL_TOKENS = 64
TEMPLATE_TOKENS = 256

# A hold is at least one nano-dollar, so an exhausted budget refuses free models too; and at most
# just more than any limit, so absurd sizes are refused rather than overflow.
HOLD_MIN = 1
HOLD_MAX = DOLLARS_MAX * NANOS_PER_DOLLAR + 1

NO_UNITS = Usage()
TEXT_INPUT_KINDS = frozenset(INPUT_KINDS) - {"audio_input"}
TEXT_OUTPUT_KINDS = frozenset(OUTPUT_KINDS) - {"audio_output"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a call is, as far as its body tells.

    `text_bytes` is `text_bound_bytes` of the JSON body that is sent. `choices` is the larger of
    `n` and `best_of`. `images` counts images inside the body, `units` what is billed by other
    units than tokens, at most. `service_tier` is the one pinned in the body, None if any may be
    chosen. `unbounded` names the member that makes an upper bound unprovable.
    """

    text_bytes: int
    messages: int = 0
    tools: int = 0
    output_tokens_asked: int | None = None
    choices: int = 1
    prompts: int = 1
    prediction_bytes: int = 0
    hidden_tokens: int = 0  # of prompts that the provider puts in front
    images: int = 0
    has_stored_context: bool = False  # `previous_response_id`
    may_have_audio: bool = True
    may_generate: bool = True  # False for embeddings: nothing comes out
    output_kind: str = "output"  # what comes out mostly
    service_tier: str | None = None
    units: Usage = NO_UNITS
    unbounded: str | None = None

    @property
    def has_units(self) -> bool:
        return self.units is not NO_UNITS and self.units != NO_UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a deployment's model can take and give, and what its tokenizer and prompts add.

    `reasoning_tokens_max` is given where the output limit does not bound reasoning.
    """

    input_tokens_max: int | None = None
    output_tokens_max: int | None = None
    token_margin: int = 0
    reasoning_tokens_max: int = 0
    image_tokens_max: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """`expected` is held on standard windows, `bound` on strict ones.

    `bound` is None when `unbounded_by`, a member of the body or a kind of unit without a price,
    makes it unprovable. It holds only if `output_tokens_cap` is sent upstream (None: nothing is
    generated, nothing is to be capped).
    """

    expected: Nanos
    bound: Nanos | None
    unbounded_by: str | None
    output_tokens_cap: int | None


def estimate_cost(
    size: Size, tariffs: Sequence[tuple[Tariff, ModelLimits]], *, strict_max_output: int
) -> Estimate:
    """The dearest of the deployments that may serve the call, for both amounts.

    Raises ModelNotPriced when one of them has no price for a side that the call uses.
    """
    if not tariffs:
        raise ValueError("a route has at least one deployment")
    cap = min(_output_cap(size, limits, strict_max_output) for _, limits in tariffs)
    every = [_estimate_one(size, *pair, cap, strict_max_output) for pair in tariffs]
    if len(every) == 1:
        return every[0]
    bounds = [found.bound for found in every if found.bound is not None]
    return Estimate(
        max(found.expected for found in every),
        max(bounds) if len(bounds) == len(every) else None,
        next((found.unbounded_by for found in every if found.unbounded_by), None),
        every[0].output_tokens_cap,
    )


def _estimate_one(
    size: Size, tariff: Tariff, limits: ModelLimits, cap: int, strict_max_output: int
) -> Estimate:
    expected = _expected(size, tariff, cap)
    unbounded_by = size.unbounded or _unbounded_by(size, tariff, limits)
    bound = None if unbounded_by else _bound(size, tariff, limits, strict_max_output)
    return Estimate(expected, bound, unbounded_by, cap if size.may_generate else None)


def input_tokens_bound(size: Size, limits: ModelLimits) -> int:
    """No tokenizer makes more tokens than bytes; the rest are margins."""
    if size.has_stored_context:
        return (limits.input_tokens_max or 0) + _own_input_tokens(size, limits)
    return _own_input_tokens(size, limits)


def output_tokens_bound(size: Size, limits: ModelLimits, strict_max_output: int) -> int:
    """What can come out when the cap is sent: in every choice, for every prompt."""
    if not size.may_generate:
        return 0
    each = _output_cap(size, limits, strict_max_output) + limits.reasoning_tokens_max
    return each * size.choices * size.prompts + size.prediction_bytes


def _own_input_tokens(size: Size, limits: ModelLimits) -> int:
    framing = MESSAGE_TOKENS * (size.messages + size.prompts - 1) + TOOL_TOKENS * size.tools
    images = size.images * (limits.image_tokens_max or 0)
    hidden = TEMPLATE_TOKENS + size.hidden_tokens + limits.token_margin
    return size.text_bytes + framing + hidden + images


def _output_cap(size: Size, limits: ModelLimits, strict_max_output: int) -> int:
    asked = strict_max_output if size.output_tokens_asked is None else size.output_tokens_asked
    return asked if limits.output_tokens_max is None else min(asked, limits.output_tokens_max)


def _expected(size: Size, tariff: Tariff, cap: int) -> Nanos:
    _require_prices(size, tariff)
    answers = size.choices * size.prompts if size.may_generate else 0
    tokens_in = -(-size.text_bytes // EXPECTED_BYTES_PER_TOKEN)
    tokens_out = min(cap, EXPECTED_OUTPUT_TOKENS) * answers
    if size.has_units:
        likely = Usage(input=tokens_in, output=tokens_out) + size.units
        amount, _ = cost_as_far_as_priced(likely, tariff, service_tier=size.service_tier)
        return _as_hold(amount)
    # Nearly every call: two sides and a fee, without the detour over a Usage.
    rates = tariff.rates_for(tokens_in, size.service_tier)
    picos = tokens_in * rates.get("input", 0) + tokens_out * rates.get(size.output_kind, 0)
    return _as_hold(round_up(picos + rates.get("requests", 0)))


def _bound(size: Size, tariff: Tariff, limits: ModelLimits, strict_max_output: int) -> Nanos:
    """Every token at the dearest rate that the call can reach, and every other unit."""
    sides = (
        (TEXT_INPUT_KINDS, INPUT_KINDS, input_tokens_bound(size, limits)),
        (TEXT_OUTPUT_KINDS, OUTPUT_KINDS, output_tokens_bound(size, limits, strict_max_output)),
    )
    input_max = sides[0][2]
    picos = sum(breakdown(size.units, tariff).values()) if size.has_units else _fee(tariff)
    for text_kinds, all_kinds, tokens in sides:
        kinds = all_kinds if size.may_have_audio else text_kinds
        rate = tariff.highest_rate(kinds, input_max=input_max, service_tier=size.service_tier)
        picos += tokens * (rate or 0)
    return _as_hold(round_up(picos))


def _fee(tariff: Tariff) -> int:
    """What a call costs before anything is used."""
    return tariff.rate("requests") or 0


def _unbounded_by(size: Size, tariff: Tariff, limits: ModelLimits) -> str | None:
    if not tariff.is_priced:
        return "model"
    if size.has_stored_context and limits.input_tokens_max is None:
        return "previous_response_id"
    if size.images and limits.image_tokens_max is None:
        return "image_url"
    missing = cost_as_far_as_priced(size.units, tariff)[1] if size.has_units else []
    return missing[0] if missing else None


def _require_prices(size: Size, tariff: Tariff) -> None:
    """A side must have a base price, unless the model is priced by other units altogether."""
    if size.has_units and not cost_as_far_as_priced(size.units, tariff)[1]:
        return
    if tariff.rate("input") is None:
        raise ModelNotPriced("input")
    if size.may_generate and tariff.rate(size.output_kind) is None:
        raise ModelNotPriced(size.output_kind)


def _as_hold(amount: int) -> Nanos:
    return Nanos(min(max(amount, HOLD_MIN), HOLD_MAX))
