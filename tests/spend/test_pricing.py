"""Pricing: usage x tariff, one rounding; prices in the form of the row and of the wire."""

import json
from dataclasses import fields
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.errors import ModelNotPriced
from spend.money import PICOS_PER_DOLLAR, PICOS_PER_NANO, BadAmount, price_dollars
from spend.price_fields import is_price_field
from spend.pricing import (
    UNPRICED,
    Tariff,
    breakdown,
    cost,
    cost_as_far_as_priced,
    rates_from_wire,
    wire_from_rates,
)
from spend.rates import RATE_KINDS, SERVICE_TIERS, TOKEN_KINDS
from spend.usage import NAMED_KINDS, Usage, counts

GPT_4O = {"input": 2_500_000, "cached_input": 1_250_000, "output": 10_000_000}
LONG = {
    "input": 10,
    "cached_input": 1,
    "output": 100,
    "above": {"200000": {"input": 20, "output": 150}, "272000": {"input": 30}},
    "priority": {"input": 17, "above": {"272000": {"input": 51}}},
    "flex": {"input": 5, "output": 50},
}


def tariff(rates, source="operator"):
    return Tariff.from_rates(rates, price_id="0199d0a5-0000-7000-8000-000000000000", source=source)


def test_it_works():
    usage = Usage(input=100, cached_input=300, output=100)

    assert cost(usage, tariff(GPT_4O)) == 1_625_000
    assert breakdown(usage, tariff(GPT_4O)) == {
        "input": 250_000_000,
        "cached_input": 375_000_000,
        "output": 1_000_000_000,
    }


def test_it_rounds_once_and_upward():
    one_pico_each = tariff({"input": 1, "output": 1})

    assert cost(Usage(input=1), one_pico_each) == 1
    assert cost(Usage(input=500, output=500), one_pico_each) == 1
    assert cost(Usage(input=500, output=501), one_pico_each) == 2
    assert cost(Usage(), one_pico_each) == 0


@pytest.mark.parametrize(
    ("usage", "rates", "picos"),
    [
        (Usage(cached_input=2), {"input": 7}, {"cached_input": 14}),
        (Usage(cache_write=2), {"input": 7}, {"cache_write": 14}),
        (Usage(cache_write_1h=2), {"input": 7}, {"cache_write_1h": 14}),
        (Usage(cache_write_1h=2), {"input": 7, "cache_write": 9}, {"cache_write_1h": 18}),
        (Usage(audio_input=2), {"input": 7}, {"audio_input": 14}),
        (Usage(reasoning=2), {"output": 7}, {"reasoning": 14}),
        (Usage(reasoning=2), {"output": 7, "reasoning": 0}, {"reasoning": 0}),
        (Usage(audio_output=2), {"output": 7}, {"audio_output": 14}),
        (Usage(image_output=2), {"output": 7, "image_output": 8}, {"image_output": 16}),
    ],
)
def test_it_takes_the_base_price_of_the_side_for_a_missing_part(usage, rates, picos):
    assert breakdown(usage, tariff(rates)) == picos


@pytest.mark.parametrize(
    ("usage", "service_tier", "picos"),
    [
        (Usage(input=200_000), None, {"input": 2_000_000}),
        (Usage(input=200_001), None, {"input": 4_000_020}),
        (Usage(input=1, cached_input=200_000), None, {"input": 20, "cached_input": 200_000}),
        (Usage(input=272_001), None, {"input": 8_160_030}),
        (Usage(input=272_001, output=1), None, {"input": 8_160_030, "output": 150}),
        (Usage(input=10, output=1), "priority", {"input": 170, "output": 100}),
        (Usage(input=272_001), "priority", {"input": 13_872_051}),
        (Usage(input=200_001), "priority", {"input": 4_000_020}),
        (Usage(input=10, output=1), "flex", {"input": 50, "output": 50}),
        (Usage(input=10, output=1), "default", {"input": 100, "output": 100}),
        (Usage(input=10, output=1), "scale", {"input": 100, "output": 100}),
    ],
)
def test_it_finds_the_price_by_length_and_service_tier(usage, service_tier, picos):
    assert breakdown(usage, tariff(LONG), service_tier=service_tier) == picos


def test_it_bills_images_sound_searches_tools_and_the_call_itself():
    rates = {
        "images": 5,
        "input_images": 2,
        "characters": 3,
        "input_seconds": 1_001,
        "output_seconds": 4_000,
        "searches": 7,
        "requests": 1_000,
        "image_prices": {"1024x1024/high": 11},
        "tool_prices": {"web_search": 13},
    }
    usage = Usage(
        images=(("", 1), ("1024x1024/high", 2)),
        input_images=1,
        characters=10,
        input_ms=1_500,
        output_ms=1,
        searches=2,
        tools=(("web_search", 3),),
    )

    assert breakdown(usage, tariff(rates)) == {
        "input_images": 2,
        "characters": 30,
        "searches": 14,
        "input_seconds": 1_502,
        "output_seconds": 4,
        "images": 27,
        "tools": 39,
        "requests": 1_000,
    }


@pytest.mark.parametrize(
    ("usage", "kind"),
    [
        (Usage(input=1), "input"),
        (Usage(cached_input=1), "cached_input"),
        (Usage(reasoning=1), "reasoning"),
        (Usage(images=(("1024x1024/low", 1),)), "images"),
        (Usage(tools=(("code", 1),)), "tools"),
        (Usage(input_ms=1), "input_seconds"),
        (Usage(searches=1), "searches"),
    ],
)
def test_it_refuses_a_kind_without_any_price(usage, kind):
    partly = tariff({"characters": 1, "tool_prices": {"web_search": 1}, "image_prices": {"a": 1}})

    with pytest.raises(ModelNotPriced) as refusal:
        cost(usage, partly)

    assert refusal.value.kind == kind


def test_it_bills_what_it_can_when_the_money_is_owed_already():
    usage = Usage(input=1_000, tools=(("code", 1),), searches=2)

    assert cost_as_far_as_priced(usage, tariff({"input": 5})) == (5, ["searches", "tools"])
    assert cost_as_far_as_priced(Usage(input=1), tariff({"input": 5})) == (1, [])


def test_it_prices_nothing_for_a_model_without_price():
    usage = Usage(input=9, reasoning=9, images=(("x", 9),), tools=(("y", 9),), input_ms=9)

    assert cost(usage, UNPRICED) == 0
    assert (UNPRICED.is_priced, tariff({}).is_priced) == (False, True)


def test_it_tells_its_marks_and_rates():
    long = tariff(LONG)

    assert long.marks == [200_000, 272_000]
    assert long.rate("reasoning", input_total=300_000, service_tier="flex") == 150
    assert long.rate("searches") is None


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ({"smell": 1}, "smell is not a kind"),
        ({"input": -1}, "input must be a whole number"),
        ({"input": 1.5}, "input must be a whole number"),
        ({"input": True}, "input must be a whole number"),
        ({"input": None}, "input must be a whole number"),
        ({"input": PICOS_PER_DOLLAR + 1}, "input must be at most 1 USD"),
        ({"above": {"many": {}}}, "above.many must be named"),
        ({"above": {"0200": {}}}, "above.0200 must be named"),
        ({"above": [1]}, "above must be an object"),
        ({"above": {"5": {"above": {}}}}, "above.5.above is not a kind"),
        ({"priority": {"flex": {}}}, "priority.flex is not a kind"),
        ({"flex": 1}, "flex must be an object"),
        ({"tool_prices": {"a": "1"}}, "tool_prices.a must be a whole number"),
        ({"image_prices": []}, "image_prices must be an object"),
        (
            {"tool_prices": dict.fromkeys(map(str, range(65)), 1)},
            "tool_prices must have at most 64",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_it_refuses_rates_that_are_none(rates, says):
    with pytest.raises(BadAmount, match=f"^{says}"):
        tariff(rates)


def test_it_reads_the_price_fields_of_the_wire():
    sent = {
        "id": "not a price",
        "input_cost_per_token": Decimal("2.5e-06"),
        "cache_read_input_token_cost": Decimal("1.25e-06"),
        "cache_creation_input_token_cost": 0,
        "cache_creation_input_token_cost_above_1hr": Decimal("6e-06"),
        "input_cost_per_audio_token": None,
        "output_cost_per_token": Decimal("1e-05"),
        "output_cost_per_reasoning_token": Decimal("1.2e-05"),
        "output_cost_per_token_above_200k_tokens": Decimal("2e-05"),
        "cache_creation_input_token_cost_above_1hr_above_128k_tokens": Decimal("7e-06"),
        "input_cost_per_token_priority": Decimal("4e-06"),
        "input_cost_per_token_above_272k_tokens_flex": Decimal("0.0000000000001"),
        "image_prices": {"1024x1024/high": Decimal("0.167")},
        "tool_prices": {"web_search": Decimal("0.01")},
    }

    assert rates_from_wire(sent) == {
        "input": 2_500_000,
        "cached_input": 1_250_000,
        "cache_write": 0,
        "cache_write_1h": 6_000_000,
        "output": 10_000_000,
        "reasoning": 12_000_000,
        "above": {"128000": {"cache_write_1h": 7_000_000}, "200000": {"output": 20_000_000}},
        "priority": {"input": 4_000_000},
        "flex": {"above": {"272000": {"input": 1}}},
        "image_prices": {"1024x1024/high": 167_000_000_000},
        "tool_prices": {"web_search": 10_000_000_000},
    }


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("input_cost_per_token", "1", "input_cost_per_token must be a number"),
        ("output_cost_per_token_flex", -1, "output_cost_per_token_flex must be between 0"),
        ("input_cost_per_query", True, "input_cost_per_query must be a number"),
        ("input_cost_per_token", Decimal("2.5"), "input_cost_per_token must be at most 1 USD"),
        ("output_cost_per_image", 1_001, "output_cost_per_image must be at most 1000 USD"),
        ("input_cost_per_second", Decimal("NaN"), "input_cost_per_second must be a finite"),
        ("image_prices", 1, "image_prices must be an object"),
        ("image_prices", {"a/b": -1}, "image_prices.a/b must be between"),
    ],
)
def test_it_refuses_a_bad_price_and_names_its_field(name, value, says):
    with pytest.raises(BadAmount, match=f"^{says}") as refusal:
        rates_from_wire({name: value})

    assert refusal.value.field.startswith(name)


def test_it_knows_which_members_are_prices():
    assert is_price_field("input_cost_per_audio_token_above_128k_tokens_priority")
    assert is_price_field("tool_prices")
    assert not is_price_field("input_cost_per_image_above_128k_tokens")
    assert not is_price_field("input_cost_per_token_above_0k_tokens")
    assert not is_price_field("input_cost_per_token_batches")
    assert not is_price_field("max_input_tokens")


def test_it_writes_exact_dollars_back():
    assert wire_from_rates({"input": 2_500_000, "above": {"131072": {"output": 1}}}) == {
        "input_cost_per_token": Decimal("0.0000025"),
        "output_cost_per_token_above_131072_tokens": Decimal("1E-12"),
    }


rates = st.integers(0, PICOS_PER_DOLLAR)
kinds = st.dictionaries(st.sampled_from(RATE_KINDS), rates)
token_kinds = st.dictionaries(st.sampled_from(TOKEN_KINDS), rates, min_size=1)
marks = st.integers(1, 999_999).map(str)
above = st.dictionaries(marks, token_kinds, max_size=3, min_size=1)
names = st.dictionaries(st.text(max_size=9), rates, min_size=1, max_size=3)
optional = {"above": above, "image_prices": names, "tool_prices": names}
variant = st.builds(
    lambda base, more: base | more,
    token_kinds,
    st.fixed_dictionaries({}, optional={"above": above}),
)
rate_cards = st.builds(
    lambda base, more: base | more,
    kinds,
    st.fixed_dictionaries({}, optional=optional | dict.fromkeys(SERVICE_TIERS, variant)),
)
units = st.integers(0, 400_000)
usages = st.builds(
    Usage,
    **{f.name: units for f in fields(Usage) if f.name not in NAMED_KINDS},
    images=names.map(lambda found: counts(found.items())),
)
complete = kinds.map(lambda found: dict.fromkeys(RATE_KINDS, 3) | found)


@given(rate_cards)
def test_it_reads_back_the_rates_it_wrote(found):
    assert tariff(found).as_rates() == found
    assert tariff(json.loads(json.dumps(found))).as_rates() == found
    assert rates_from_wire(wire_from_rates(found)) == found


@given(usages, complete, above, st.sampled_from([None, "flex", "priority"]))
def test_it_bills_the_sum_of_its_parts_rounded_up_once(usage, base, tiers, service_tier):
    billed = tariff(base | {"above": tiers})

    total = sum(breakdown(usage, billed, service_tier=service_tier).values())

    whole = cost(usage, billed, service_tier=service_tier)
    assert 0 <= whole * PICOS_PER_NANO - total < PICOS_PER_NANO
    assert cost_as_far_as_priced(usage, billed, service_tier=service_tier) == (whole, [])


@given(usages, complete, st.integers(1, 9))
def test_it_agrees_with_plain_decimal_arithmetic(usage, base, tool_price):
    usage = usage + Usage(tools=(("x", 5),))
    billed = tariff(base | {"tool_prices": {"x": tool_price}})
    per_unit = {kind: price_dollars(rate) for kind, rate in base.items()}

    with localcontext(prec=60):
        dollars = sum(getattr(usage, kind) * per_unit[kind] for kind in TOKEN_KINDS)
        dollars += usage.characters * per_unit["characters"] + usage.searches * per_unit["searches"]
        dollars += usage.input_images * per_unit["input_images"]
        dollars += sum(count for _, count in usage.images) * per_unit["images"]
        dollars += usage.input_ms * per_unit["input_seconds"] / 1000
        dollars += usage.output_ms * per_unit["output_seconds"] / 1000
        dollars += max(1, usage.requests) * per_unit["requests"] + 5 * price_dollars(tool_price)
        nanos = dollars * 10**9

        # Sound is rounded up to whole pico-dollars before the sum is rounded to a nano-dollar.
        assert 0 <= cost(usage, billed) - nanos < 1 + Decimal("0.002")


@given(usages, usages, complete)
def test_it_never_bills_more_for_two_calls_than_one_rounding_each(one, other, base):
    billed = tariff(base | {"requests": 0})

    apart = cost(one, billed) + cost(other, billed)

    assert apart - 2 <= cost(one + other, billed) <= apart  # sound rounds up to a pico first
