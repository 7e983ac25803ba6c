"""How an account stands, in one word."""

from datetime import UTC, datetime

import pytest

from spend.standings import Standing
from spend.status import Account, Status, status_of, used_text

START = datetime(2026, 11, 1, tzinfo=UTC)


def account(limit, spent, *, reserved=0, soft_limit=None):
    return Account(Standing(limit, spent, reserved, START, None, spent), soft_limit)


@pytest.mark.parametrize(
    ("limit", "spent", "text"),
    [
        (None, 5, ""),
        (100, 0, "0%"),
        (1_000, 9, "<1%"),
        (1_000, 10, "1%"),
        (1_000, 999, "99%"),
        (1_000, 1_000, "100%"),
        (1_000, 1_009, "100%"),
        (0, 0, "100%"),
        (1, 9, "900%"),
        (100, 999, "999%"),
        (1, 10, ">999%"),
        (1, 1_170_000, ">999%"),
    ],
)
def test_it_rounds_the_share_down(limit, spent, text):
    assert used_text(limit, spent) == text


@pytest.mark.parametrize(
    ("accounts", "status"),
    [
        ([account(None, 7)], Status.TRACKED),
        ([account(100, 79)], Status.ON_TRACK),
        ([account(100, 80)], Status.AT_RISK),
        ([account(100, 80, soft_limit=90)], Status.ON_TRACK),
        ([account(100, 90, soft_limit=90)], Status.AT_RISK),
        ([account(None, 90, soft_limit=90)], Status.AT_RISK),
        ([account(100, 60, reserved=40)], Status.OVER_BUDGET),
        ([account(0, 0)], Status.OVER_BUDGET),
        ([account(None, 7), account(100, 100)], Status.OVER_BUDGET),
        ([account(100, 85), account(100, 1)], Status.AT_RISK),
    ],
)
def test_it_says_the_first_that_holds_over_all_budgets(accounts, status):
    assert status_of(accounts) is status


def test_it_says_blocked_before_all_else():
    assert status_of([account(0, 0)], blocked=True) is Status.BLOCKED
