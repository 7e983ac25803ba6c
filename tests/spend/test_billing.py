"""Billing: every attempt that may have been billed is billed, and doubt is never free."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.billing import Bill, Counted, Metered, Unbilled, Unknown, bill_for
from spend.money import Nanos
from spend.pricing import Tariff
from spend.usage import Usage

PRICE_ID = UUID("01890000-0000-7000-8000-000000000001")
OTHER_ID = UUID("01890000-0000-7000-8000-000000000002")
HELD = Nanos(777)


def tariff(rates, price_id=PRICE_ID) -> Tariff:
    return Tariff.from_rates(rates, price_id=price_id and str(price_id), source="operator")


TARIFF = tariff({"input": 2_500, "output": 10_000})
DEARER = tariff({"input": 5_000, "output": 20_000}, OTHER_ID)
INPUT_ONLY = tariff({"input": 2_500})
UNPRICED = Tariff.from_rates({}, price_id=None, source="operator")
USAGE = Usage(input=12, output=18)  # 12 x 2.5 + 18 x 10 = 210 nano-dollars
NO_BILL = Bill(Nanos(0), "failure", Usage(), "none", None)

usages = st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9))
endings = st.lists(
    st.one_of(
        st.builds(Metered, usages, st.just(TARIFF)),
        st.builds(Counted, usages, st.just(TARIFF)),
        st.builds(Unknown, st.none() | st.just(USAGE), st.just(TARIFF)),
        st.just(Unbilled()),
    ),
    max_size=5,
)


def test_it_works():
    found = bill_for([Metered(USAGE, TARIFF)], estimate=HELD)

    assert found == Bill(Nanos(210), "success", USAGE, "upstream", PRICE_ID)


def test_it_bills_its_own_count_when_no_usage_came():
    found = bill_for([Counted(USAGE, TARIFF)], estimate=HELD)

    assert found == Bill(Nanos(210), "success", USAGE, "counted", PRICE_ID)


def test_it_bills_what_was_delivered_of_an_answer_cut_short():
    found = bill_for([Unknown(USAGE, TARIFF)], estimate=HELD)

    assert found == Bill(Nanos(210), "estimated", USAGE, "counted", PRICE_ID)


def test_it_bills_the_hold_when_nothing_is_known():
    found = bill_for([Unknown(None, TARIFF)], estimate=HELD)

    assert found == Bill(HELD, "estimated", Usage(), "estimate", PRICE_ID)


@pytest.mark.parametrize("given_endings", [[], [Unbilled()], [Unbilled(), Unbilled()]])
def test_it_bills_nothing_when_that_is_certain(given_endings):
    assert bill_for(given_endings, estimate=HELD) == NO_BILL


def test_it_bills_each_attempt_and_tells_of_the_last():
    found = bill_for(
        [Unknown(None, TARIFF), Unbilled(), Metered(USAGE, DEARER), Unbilled()], estimate=HELD
    )

    assert found == Bill(Nanos(777 + 420), "success", USAGE, "upstream", OTHER_ID)


def test_it_flags_what_has_no_price_and_bills_the_rest():
    found = bill_for([Metered(USAGE, INPUT_ONLY)], estimate=HELD)

    assert found == Bill(Nanos(30), "success", USAGE, "upstream", PRICE_ID, ("unpriced",))


def test_it_flags_a_model_without_any_price():
    found = bill_for([Metered(USAGE, UNPRICED)], estimate=HELD)

    assert (found.cost, found.status, found.flags) == (0, "success", ("unpriced",))


def test_it_rounds_each_attempt_up_once():
    one_token = Usage(input=1)  # 2.5 nano-dollars

    found = bill_for([Metered(one_token, TARIFF), Metered(one_token, TARIFF)], estimate=HELD)

    assert found.cost == 6


@given(endings)
def test_it_costs_what_its_attempts_cost(given_endings):
    found = bill_for(given_endings, estimate=HELD)

    assert found.cost == sum(bill_for([ending], estimate=HELD).cost for ending in given_endings)
    assert (found.status == "failure") == all(isinstance(e, Unbilled) for e in given_endings)
