"""The bank's errors: one tree, and a refusal that tells its numbers."""

from datetime import UTC, datetime

import pytest

from spend.errors import (
    BudgetExceeded,
    BudgetUnavailable,
    Busy,
    CostNotBounded,
    LedgerError,
    ModelNotPriced,
    Refused,
    Unavailable,
)


def refusal(**changes):
    terms = {
        "payer": "tag:engineering",
        "budget": "0199d091-3000-7a11-8f2e-3b9a6d1c5e70",
        "budget_kind": "own",
        "mode": "strict",
        "duration": "30d",
        "starts_at": datetime(2025, 10, 11, tzinfo=UTC),
        "resets_at": datetime(2025, 11, 10, tzinfo=UTC),
        "spent": 499_500_000_000,
        "reserved": 200_000_000,
        "requested": 350_000_000,
        "limit": 500_000_000_000,
    }
    return BudgetExceeded(**terms | changes)


def test_it_works():
    with pytest.raises(Refused) as raised:
        raise refusal()

    assert raised.value.remaining == 300_000_000
    assert str(raised.value) == (
        "tag:engineering is over its strict budget 0199d091-3000-7a11-8f2e-3b9a6d1c5e70:"
        " spent 499.5, reserved 0.2, requested 0.35, limit 500.0"
    )


def test_it_has_nothing_remaining_when_more_is_spent_than_the_limit():
    assert refusal(spent=505_500_000_000).remaining == 0


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        (ModelNotPriced("input"), Refused),
        (CostNotBounded("prompt"), Refused),
        (BudgetUnavailable(), Unavailable),
        (Busy(), Unavailable),
    ],
)
def test_it_tells_a_rule_from_a_failure(error, parent):
    assert isinstance(error, parent)
    assert isinstance(error, LedgerError)
    assert not isinstance(error, Refused) or not isinstance(error, Unavailable)


def test_it_names_what_stood_in_the_way():
    assert (ModelNotPriced("tools").kind, CostNotBounded("prompt").param) == ("tools", "prompt")
