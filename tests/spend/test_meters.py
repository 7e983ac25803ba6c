"""Meters: a call's cost by meter, together exactly its cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.meters import METERS, Amount, Meter, meter_call, share_out
from spend.pricing import Tariff, cost
from spend.usage import Usage

RATES = {
    "input": 2_500_001,
    "cached_input": 1_250_001,
    "output": 10_000_003,
    "input_seconds": 7,
    "output_seconds": 11,
    "images": 40_000_000_001,
    "searches": 3,
    "requests": 13,
    "characters": 17,
    "input_images": 19,
    "image_prices": {"big": 99},
    "tool_prices": {"web_search": 5},
    "above": {"1000": {"input": 5_000_001}},
}
TARIFF = Tariff.from_rates(RATES, price_id=None, source="operator")
SMALL = st.integers(0, 2_000)


def told(amounts):
    return {(meter.name, meter.unit): (a.quantity, a.picos) for meter, a in amounts.items()}


def test_it_works():
    tariff = Tariff.from_rates({"input": 1_000, "output": 3_000}, price_id=None, source="operator")
    usage = Usage(input=10, cached_input=5, output=2, reasoning=1)

    found = meter_call(24, usage.as_json(), tariff)

    assert told(found) == {
        ("input", "Tokens"): (10, 10_000),
        ("cached input", "Tokens"): (5, 5_000),
        ("output", "Tokens"): (2, 6_000),
        ("reasoning", "Tokens"): (1, 3_000),
    }


@pytest.mark.parametrize(
    ("usage", "meter", "quantity"),
    [
        (Usage(cache_write=3, cache_write_1h=4), Meter("cache write", "Tokens"), 7),
        (Usage(audio_input=3, audio_output=4), Meter("audio", "Tokens"), 7),
        (Usage(image_output=3), Meter("image", "Tokens"), 3),
        (Usage(images=(("big", 2), ("small", 1)), input_images=4), Meter("image", "Images"), 7),
        (Usage(input_ms=1_500, output_ms=2), Meter("second", "Seconds"), 1_502),
        (Usage(characters=9), Meter("character", "Characters"), 9),
        (Usage(searches=2), Meter("request", "Searches"), 2),
        (Usage(tools=(("web_search", 2),)), Meter("request", "Tool Calls"), 2),
    ],
)
def test_each_kind_has_its_meter(usage, meter, quantity):
    found = meter_call(cost(usage, TARIFF), usage.as_json(), TARIFF)

    assert found[meter].quantity == quantity
    assert found[meter].picos > 0


def test_a_fee_and_what_no_usage_explains_are_requests():
    fee = Tariff.from_rates({"requests": 5_000}, price_id=None, source="operator")

    assert told(meter_call(5, {}, TARIFF)) == {("request", "Requests"): (1, 5_000)}
    assert told(meter_call(5, {"output": 2}, None)) == {
        ("output", "Tokens"): (2, 0),
        ("request", "Requests"): (1, 5_000),
    }
    assert meter_call(0, {}, fee) == {}


@given(
    usage=st.builds(
        Usage,
        input=SMALL, cached_input=SMALL, output=SMALL, reasoning=SMALL, input_ms=SMALL,
        output_ms=SMALL, searches=SMALL, characters=SMALL,
        images=st.sampled_from([(), (("big", 1),), (("big", 2), ("other", 3))]),
    ),
    more=st.sampled_from([0, 0, 7, 1_000_000]),
)  # fmt: skip
def test_it_comes_to_the_cost_exactly(usage, more):
    billed = cost(usage, TARIFF) + more

    found = meter_call(billed, usage.as_json(), TARIFF)

    assert sum(amount.picos for amount in found.values()) == billed * 1_000
    assert found.keys() <= set(METERS)


@given(st.lists(st.integers(-50_000, 50_000), min_size=1, max_size=len(METERS)))
def test_shares_are_whole_and_add_up(picos):
    picos[0] -= sum(picos) % 1_000
    amounts = {meter: Amount(1, n) for meter, n in zip(METERS, picos, strict=False)}
    billed = sum(picos) // 1_000

    shares = share_out(amounts, billed)

    assert sum(shares.values()) == billed
    assert all(abs(shares[m] * 1_000 - amounts[m].picos) < 1_000 for m in amounts)
