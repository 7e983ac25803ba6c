"""Estimate: what is held; the bound holds whatever the tokenizer and the bill."""

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spend.errors import ModelNotPriced
from spend.estimate import (
    HOLD_MAX,
    Estimate,
    ModelLimits,
    Size,
    estimate_cost,
    input_tokens_bound,
    output_tokens_bound,
    text_bound_bytes,
)
from spend.pricing import UNPRICED, Tariff, cost
from spend.rates import RATE_KINDS, TOKEN_KINDS
from spend.usage import INPUT_KINDS, OUTPUT_KINDS, Usage, counts

PLAIN = {"input": 1_000, "output": 10_000}  # one and ten nano-dollars a token
NO_LIMITS = ModelLimits()


def tariff(rates):
    return Tariff.from_rates(rates, price_id=None, source="operator")


def estimate(size, rates=PLAIN, limits=NO_LIMITS, strict_max_output=16_384):
    return estimate_cost(size, [(tariff(rates), limits)], strict_max_output=strict_max_output)


def test_it_works():
    size = Size(text_bytes=400, messages=2, tools=1, output_tokens_asked=50)

    assert estimate(size) == Estimate(
        expected=100 + 50 * 10,
        bound=(400 + 2 * 16 + 64 + 256) + 50 * 10,
        unbounded_by=None,
        output_tokens_cap=50,
    )


@pytest.mark.parametrize(
    ("size", "limits", "tokens_in", "tokens_out"),
    [
        (Size(text_bytes=400), ModelLimits(), 656, 16_384),
        (Size(text_bytes=400), ModelLimits(output_tokens_max=4_096), 656, 4_096),
        (Size(text_bytes=400, output_tokens_asked=9_999_999), ModelLimits(), 656, 9_999_999),
        (
            Size(text_bytes=400, output_tokens_asked=9_999),
            ModelLimits(output_tokens_max=4_096),
            656,
            4_096,
        ),
        (Size(text_bytes=400, output_tokens_asked=10, choices=3), ModelLimits(), 656, 30),
        (
            Size(text_bytes=400, output_tokens_asked=10, choices=3, prompts=5),
            ModelLimits(),
            656 + 4 * 16,
            150,
        ),
        (
            Size(text_bytes=400, output_tokens_asked=10, prediction_bytes=7),
            ModelLimits(),
            656,
            17,
        ),
        (
            Size(text_bytes=400, output_tokens_asked=10, choices=2),
            ModelLimits(reasoning_tokens_max=100, token_margin=5),
            661,
            220,
        ),
        (Size(text_bytes=400, may_generate=False), ModelLimits(), 656, 0),
        (
            Size(text_bytes=400, has_stored_context=True, output_tokens_asked=1),
            ModelLimits(input_tokens_max=128_000),
            128_656,
            1,
        ),
        (
            Size(text_bytes=400, images=2, output_tokens_asked=1),
            ModelLimits(image_tokens_max=1_500),
            3_656,
            1,
        ),
    ],
)
def test_it_bounds_tokens_by_bytes_caps_and_margins(size, limits, tokens_in, tokens_out):
    assert input_tokens_bound(size, limits) == tokens_in
    assert output_tokens_bound(size, limits, 16_384) == tokens_out
    assert estimate(size, limits=limits).bound == tokens_in + 10 * tokens_out


@pytest.mark.parametrize(
    ("rates", "size", "rate_in", "rate_out"),
    [
        ({"cache_write": 2_000}, {}, 2, 10),
        ({"cached_input": 100}, {}, 1, 10),
        ({"reasoning": 30_000}, {}, 1, 30),
        ({"image_output": 40_000}, {}, 1, 40),
        ({"audio_input": 9_000, "audio_output": 80_000}, {}, 9, 80),
        ({"audio_input": 9_000, "audio_output": 80_000}, {"may_have_audio": False}, 1, 10),
        ({"above": {"655": {"input": 3_000}}}, {}, 3, 10),
        ({"above": {"656": {"input": 3_000}}}, {}, 1, 10),
        ({"priority": {"input": 4_000}}, {}, 4, 10),
        ({"priority": {"input": 4_000}}, {"service_tier": "default"}, 1, 10),
        ({"priority": {"input": 4_000}}, {"service_tier": "priority"}, 4, 10),
        ({"flex": {"output": 5_000}}, {"service_tier": "flex"}, 1, 10),
        ({"flex": {"above": {"655": {"output": 50_000}}}}, {}, 1, 50),
    ],
)
def test_it_bounds_by_the_dearest_rate_within_reach(rates, size, rate_in, rate_out):
    asked = Size(text_bytes=400, output_tokens_asked=100, **size)

    assert estimate(asked, PLAIN | rates).bound == 656 * rate_in + 100 * rate_out


def test_it_expects_a_short_answer_to_a_quarter_of_the_bytes():
    assert estimate(Size(text_bytes=401)).expected == 101 + 256 * 10
    assert estimate(Size(text_bytes=401, choices=2)).expected == 101 + 512 * 10
    assert estimate(Size(text_bytes=401), strict_max_output=7).expected == 101 + 7 * 10
    assert estimate(Size(text_bytes=401, may_generate=False)).expected == 101


def test_it_holds_at_least_a_nano_and_at_most_more_than_any_limit():
    free = estimate(Size(text_bytes=1), {"input": 0, "output": 0})
    absurd = estimate(Size(text_bytes=1, choices=10**12, output_tokens_asked=10**12))

    assert (free.expected, free.bound) == (1, 1)
    assert (absurd.expected, absurd.bound) == (2_560_000_000_000_001, HOLD_MAX)


def test_it_takes_the_dearest_deployment_and_the_lowest_cap():
    cheap = (tariff(PLAIN), ModelLimits(output_tokens_max=1_000))
    dear = (tariff({"input": 2_000, "output": 20_000}), ModelLimits(output_tokens_max=100))
    size = Size(text_bytes=400, output_tokens_asked=5_000)

    both = estimate_cost(size, [cheap, dear], strict_max_output=16_384)

    assert both.output_tokens_cap == 100
    assert both.bound == 656 + 1_000 * 10
    assert both.expected == 2 * (100 + 100 * 10)


@pytest.mark.parametrize(
    ("size", "rates", "member"),
    [
        (Size(text_bytes=1, unbounded="messages[0].content"), PLAIN, "messages[0].content"),
        (Size(text_bytes=1, has_stored_context=True), PLAIN, "previous_response_id"),
        (Size(text_bytes=1, images=1), PLAIN, "image_url"),
        (Size(text_bytes=1, units=Usage(tools=(("web_search", 1),))), PLAIN, "tools"),
    ],
)
def test_it_names_the_member_that_has_no_bound(size, rates, member):
    found = estimate(size, rates)

    assert (found.bound, found.unbounded_by) == (None, member)
    assert found.expected > 0


def test_it_gives_a_model_without_price_no_bound():
    found = estimate_cost(Size(text_bytes=9), [(UNPRICED, NO_LIMITS)], strict_max_output=10)

    assert found == Estimate(1, None, "model", 10)


def test_it_caps_nothing_where_nothing_is_generated():
    assert estimate(Size(text_bytes=9, may_generate=False)).output_tokens_cap is None


@pytest.mark.parametrize(
    ("rates", "kind"),
    [
        ({}, "input"),
        ({"output": 1}, "input"),
        ({"input": 1}, "output"),
        ({"cached_input": 1}, "input"),
    ],
)
def test_it_refuses_a_model_that_lacks_a_price(rates, kind):
    with pytest.raises(ModelNotPriced) as refusal:
        estimate(Size(text_bytes=9), rates)

    assert refusal.value.kind == kind


def test_it_prices_models_that_are_billed_by_other_units():
    size = Size(text_bytes=9, units=Usage(images=(("1024x1024/high", 2),)))

    found = estimate(size, {"image_prices": {"1024x1024/high": 5_000}})

    assert (found.expected, found.bound) == (10, 10)


def test_it_adds_the_fee_and_the_other_units_to_both():
    size = Size(text_bytes=400, output_tokens_asked=1, units=Usage(tools=(("web_search", 2),)))
    fees = {"requests": 7_000, "tool_prices": {"web_search": 5_000}}

    found = estimate(size, PLAIN | fees)

    assert (found.expected, found.bound) == (100 + 10 + 17, 656 + 10 + 17)


def test_it_needs_a_deployment():
    with pytest.raises(ValueError, match="at least one"):
        estimate_cost(Size(text_bytes=1), [], strict_max_output=1)


# The proof. Any body, any tokenizer whose pieces are a byte or longer, any usage, any price list.

messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
        }
    ),
    min_size=1,
    max_size=6,
)


def one_a_byte(text):
    return len(text.encode())


def one_a_character_or_its_bytes(text):
    """Byte fallback: what the vocabulary lacks becomes its bytes."""
    return sum(1 if character.isalpha() else len(character.encode()) for character in text)


def one_a_word(text):
    return len(re.findall(r"\w+|\s+|.", text, re.DOTALL))


@given(
    messages,
    st.sampled_from([None, "NFC", "NFKC"]),
    st.sampled_from([one_a_byte, one_a_character_or_its_bytes, one_a_word]),
    st.booleans(),
)
@settings(max_examples=300)
def test_it_counts_no_fewer_tokens_than_any_tokenizer(said, form, tokenizer, escaped):
    body = json.dumps({"model": "m", "messages": said}, ensure_ascii=escaped).encode()
    size = Size(text_bytes=text_bound_bytes(body), messages=len(said))
    prompt = "".join(f"<|{m['role']}|>\n{m['content']}<|end|>\n" for m in said)
    text = unicodedata.normalize(form, prompt) if form else prompt

    # The template's marks are single tokens of their own; here even their letters are counted.
    marks = sum(one_a_byte("<||>\n<|end|>\n") for _ in said)
    assert tokenizer(text) - marks <= input_tokens_bound(size, NO_LIMITS) - 256


rates = st.integers(0, 10**9)
token_kinds = st.dictionaries(st.sampled_from(TOKEN_KINDS), rates)
above = st.dictionaries(st.integers(1, 5_000).map(str), token_kinds, max_size=2)
variants = st.builds(lambda base, tiers: base | {"above": tiers}, token_kinds, above)
tariffs = st.builds(
    lambda base, tiers, priority, flex: tariff(
        dict.fromkeys(RATE_KINDS, 5)
        | base
        | {"above": tiers, "priority": priority, "flex": flex, "tool_prices": {"t": 77}}
    ),
    token_kinds,
    above,
    variants,
    variants,
)
partly_priced = token_kinds.map(
    lambda base: tariff({"input": 3, "output": 9, "tool_prices": {"t": 1}} | base)
)
sizes = st.builds(
    Size,
    text_bytes=st.integers(0, 5_000),
    messages=st.integers(0, 20),
    tools=st.integers(0, 3),
    output_tokens_asked=st.none() | st.integers(1, 3_000),
    choices=st.integers(1, 3),
    prompts=st.integers(1, 3),
    prediction_bytes=st.integers(0, 50),
    may_generate=st.booleans(),
    may_have_audio=st.booleans(),
    service_tier=st.sampled_from([None, "default", "priority", "flex"]),
    units=st.builds(Usage, tools=st.integers(0, 5).map(lambda n: counts([("t", n)]))),
)
limits = st.builds(
    ModelLimits,
    output_tokens_max=st.none() | st.integers(1, 2_000),
    token_margin=st.integers(0, 100),
    reasoning_tokens_max=st.integers(0, 1_000),
)


def spread(draw, kinds, total):
    """A whole side of a usage, shared out over its kinds in any way."""
    shares, left = {}, draw(st.integers(0, total))
    for kind in kinds[:-1]:
        shares[kind] = draw(st.integers(0, left))
        left -= shares[kind]
    return shares | {kinds[-1]: left}


@given(
    st.data(), sizes, st.lists(st.tuples(tariffs | partly_priced, limits), min_size=1, max_size=3)
)
@settings(max_examples=400)
def test_it_bounds_the_cost_of_any_usage_within_the_caps(data, size, route):
    found = estimate_cost(size, route, strict_max_output=1_000)
    billed, limit = data.draw(st.sampled_from(route))
    granted = st.sampled_from([size.service_tier, "default", None])
    any_tier = st.sampled_from(["priority", "flex", "default", None])
    tier = data.draw(granted if size.service_tier else any_tier)
    silent = () if size.may_have_audio else ("audio_input", "audio_output")

    ins = [kind for kind in INPUT_KINDS if kind not in silent]
    outs = [kind for kind in OUTPUT_KINDS if kind not in silent]
    used = Usage(
        **spread(data.draw, ins, input_tokens_bound(size, limit)),
        **spread(data.draw, outs, output_tokens_bound(size, limit, 1_000)),
        tools=size.units.tools,
    )

    assert cost(used, billed, service_tier=tier) <= found.bound
    assert 1 <= found.expected <= found.bound


@given(sizes, st.tuples(tariffs, limits), st.tuples(tariffs, limits))
def test_it_never_holds_less_for_a_longer_route_or_text(size, one, other):
    alone = estimate_cost(size, [one], strict_max_output=1_000)
    both = estimate_cost(size, [one, other], strict_max_output=1_000)

    assert both.bound >= alone.bound
    assert alone.bound >= 1
