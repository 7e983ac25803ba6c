"""Money: dollars in and out, exact; the one rounding."""

import json
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.money import (
    DOLLARS_MAX,
    NANOS_PER_DOLLAR,
    PICOS_PER_DOLLAR,
    PICOS_PER_NANO,
    BadAmount,
    dollars_text,
    parse_dollars,
    parse_dollars_text,
    parse_price,
    price_dollars,
    price_text,
    round_up,
    to_dollars,
)

amounts = st.integers(0, DOLLARS_MAX * NANOS_PER_DOLLAR)
prices = st.integers(0, PICOS_PER_DOLLAR)


def test_it_works():
    assert parse_dollars(Decimal("500.0")) == 500_000_000_000
    assert dollars_text(500_000_000_000) == "500.0"


@pytest.mark.parametrize(
    ("value", "nanos"),
    [
        (0, 0),
        (500, 500 * NANOS_PER_DOLLAR),
        (Decimal("-0.0"), 0),
        (Decimal("0E+999999999"), 0),
        (Decimal("0E-999999999"), 0),
        (Decimal("0.000000001"), 1),
        (Decimal("1e-9"), 1),
        (Decimal("5E2"), 500 * NANOS_PER_DOLLAR),
        (Decimal("0.2500000000000000000000000000000000000"), 250_000_000),
        (Decimal("7999999.999999999"), 7_999_999_999_999_999),
        (8_000_000, 8_000_000 * NANOS_PER_DOLLAR),
    ],
)
def test_it_reads_exact_dollars(value, nanos):
    assert parse_dollars(value) == nanos


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("500", "must be a number"),
        (500.0, "must be a number"),
        (True, "must be a number"),
        (None, "must be a number"),
        ([1], "must be a number"),
        (Decimal("NaN"), "must be a finite number"),
        (Decimal("sNaN"), "must be a finite number"),
        (Decimal("Infinity"), "must be a finite number"),
        (Decimal("-Infinity"), "must be a finite number"),
        (-1, "must be between 0 and 8000000 dollars"),
        (Decimal("-0.000000001"), "must be between 0 and 8000000 dollars"),
        (8_000_001, "must be between 0 and 8000000 dollars"),
        (Decimal("8000000.000000001"), "must be between 0 and 8000000 dollars"),
        (Decimal("1e999999999"), "must be between 0 and 8000000 dollars"),
        pytest.param(10**5000, "must be between 0 and 8000000 dollars", id="huge"),
        (Decimal("0.0000000001"), "must have at most 9 decimals"),
        (Decimal("1e-999999999"), "must have at most 9 decimals"),
        (Decimal("1." + "0" * 60 + "1"), "must have at most 9 decimals"),
    ],
)
def test_it_refuses_what_is_no_amount(value, says):
    with pytest.raises(BadAmount, match=f"^{says}$"):
        parse_dollars(value)


@given(amounts)
def test_it_reads_back_what_it_wrote(nanos):
    assert parse_dollars(to_dollars(nanos)) == nanos
    assert parse_dollars_text(dollars_text(nanos)) == nanos


@given(amounts)
def test_it_survives_json_clients_that_read_floats(nanos):
    on_the_wire = json.dumps(float(to_dollars(nanos)))

    assert parse_dollars(json.loads(on_the_wire, parse_float=Decimal)) == nanos


@given(amounts)
def test_it_is_exact_in_any_decimal_context(nanos):
    with localcontext(prec=3):
        assert parse_dollars(to_dollars(nanos)) == nanos


@given(st.integers(0, DOLLARS_MAX), st.integers(10, 80), st.integers(1, 9))
def test_it_never_rounds_an_amount(whole, zeros, digit):
    with pytest.raises(BadAmount):
        parse_dollars(Decimal(f"{whole // 2}." + "0" * (zeros - 1) + str(digit)))


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("500", 500 * NANOS_PER_DOLLAR), (" 0.25 ", 250_000_000), ("12.", 12 * NANOS_PER_DOLLAR)],
)
def test_it_reads_what_a_person_typed(text, nanos):
    assert parse_dollars_text(text) == nanos


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "$5",
        "1,000",
        "1e3",
        "NaN",
        "inf",
        "-1",
        ".5",
        "1_000",
        "\u0665",
        "1.2.3",
        "9" * 31,
        "-",
    ],
)
def test_it_refuses_what_a_person_typed_otherwise(text):
    with pytest.raises(BadAmount):
        parse_dollars_text(text)


@pytest.mark.parametrize(
    ("nanos", "decimals_min", "text"),
    [
        (0, 1, "0.0"),
        (0, 0, "0"),
        (1, 1, "0.000000001"),
        (-1, 1, "-0.000000001"),
        (-1_500_000_000, 2, "-1.50"),
        (505_500_000_000, 2, "505.50"),
        (500_000_000_000, 1, "500.0"),
        (2_140_000, 1, "0.00214"),
        (10**27, 1, "1000000000000000000.0"),
        (1_234_567_890, 2, "1.23456789"),
    ],
)
def test_it_writes_plain_decimals(nanos, decimals_min, text):
    assert dollars_text(nanos, decimals_min=decimals_min) == text


@pytest.mark.parametrize(
    ("value", "picos"),
    [
        (Decimal("2.5e-06"), 2_500_000),
        (Decimal("1E-12"), 1),
        (Decimal("0.0000000000001"), 1),
        (Decimal("1e-999999999"), 1),
        (Decimal("2.5000000000001e-06"), 2_500_001),
        (Decimal("2.5000000000000e-06"), 2_500_000),
        (Decimal("0.167"), 167_000_000_000),
        (0, 0),
        (3, 3 * PICOS_PER_DOLLAR),
    ],
)
def test_it_reads_prices_and_rounds_them_up(value, picos):
    assert parse_price(value) == picos


@pytest.mark.parametrize("value", ["1", 1e-6, True, None, -1, Decimal("NaN"), Decimal("9e6")])
def test_it_refuses_what_is_no_price(value):
    with pytest.raises(BadAmount):
        parse_price(value)


@given(prices)
def test_it_reads_back_the_price_it_wrote(picos):
    assert parse_price(price_dollars(picos)) == picos
    assert parse_price(Decimal(price_text(picos))) == picos


@given(st.decimals(0, 1, allow_nan=False, places=20))
def test_it_rounds_a_price_up_by_less_than_a_pico(price):
    picos = parse_price(price)

    with localcontext(prec=60):
        assert 0 <= price_dollars(picos) - price < Decimal("1E-12")


@given(st.integers(0, 10**30))
def test_it_rounds_up_by_less_than_a_nano(picos):
    assert 0 <= round_up(picos) * PICOS_PER_NANO - picos < PICOS_PER_NANO
