"""Past calls need past windows."""

from datetime import timedelta

import pytest

from spend.budgets import create_budget
from spend.past_calls import backdate_budget
from spend.rollover import database_now

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_it_backdates_a_budget_with_all_its_windows():
    budget = create_budget(limit=7, duration="1h")
    since = database_now().replace(microsecond=0) - 10 * HOUR

    windows = backdate_budget(budget, since)

    assert [window.starts_at for window in windows[:2]] == [since, since + HOUR]
    assert [window.is_open for window in windows[-2:]] == [False, True]
    assert {window.limit for window in windows} == {7}
    assert len(windows) == 11
