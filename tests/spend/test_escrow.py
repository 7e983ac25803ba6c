"""Escrow: leases in slices never overrun their budget, whatever is held, settled or lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.escrow import BOUND_MAX, Branch, Treasury, simulate

LIMIT = 20_000_000
STEPS = st.tuples(
    st.sampled_from(["hold", "hold", "hold", "settle", "give_back", "lose"]),
    st.integers(0, 3),
    st.integers(0, 60),
    st.integers(0, 100),
)


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(0, 300), slice_amount=st.integers(1, 80), steps=st.lists(STEPS, max_size=60)
)
def test_it_never_overruns(limit, slice_amount, steps):
    treasury = Treasury(limit)
    branches = [Branch(treasury, slice_amount) for _ in range(4)]
    flights: list[list[int]] = [[] for _ in branches]
    lost = 0
    for verb, place, amount, percent in steps:
        branch, flight = branches[place], flights[place]
        if verb == "hold" and branch.hold(amount):
            flight.append(amount)
        elif verb == "settle" and flight:
            bound = flight.pop()
            branch.settle(bound, bound * percent // 100)
        elif verb == "give_back":
            branch.give_back()
        elif verb == "lose":  # its slice is never leased again: nobody knows what it has spent
            lost += branch.room + branch.held + branch.spent
            branches[place], flights[place] = Branch(treasury, slice_amount), []

        assert all(min(b.room, b.held, b.spent) >= 0 for b in branches)
        known = sum(b.room + b.held + b.spent for b in branches)
        assert treasury.left >= 0
        assert known + lost + treasury.left == limit


def test_larger_slices_serve_more_and_strand_more():
    small, large = simulate(1, limit=LIMIT), simulate(32, limit=LIMIT)

    assert small == simulate(1, limit=LIMIT)  # the seed decides everything
    assert large[2] > 3 * small[2]
    assert large[4] > small[4]
    assert (small[6], large[6]) == (0, 0)
    assert small[1] > LIMIT // BOUND_MAX
