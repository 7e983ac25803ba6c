"""A batch changes speed, never results: it answers as its calls would one by one, in order."""

import asyncio
from dataclasses import dataclass
from operator import le

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spend.holds import Hold
from spend.models import BudgetWindow, Rollup, SpendLog
from tests.bank import Ask, Bank, bill, draw_on, empty_books, estimate, intent, record
from tests.factories import make_budget
from tests.spend.recount import recount

BUDGETS = 4
AMOUNTS = st.sampled_from([1, 50, 100, 299, 1000])


@dataclass(frozen=True)
class Terms:
    limit: int | None
    mode: str
    spent: int


@dataclass(frozen=True)
class Wish:
    """A call: positions of the budgets that it draws on, and of a call whose id it repeats."""

    budgets: tuple[int, ...]
    expected: int
    more: int
    repeats: int | None


@dataclass(frozen=True)
class Payment:
    """The position of a call, what it costs, and how it ended."""

    call: int
    cost: int
    status: str


some_terms = st.builds(
    Terms,
    st.sampled_from([None, 0, 1, 300, 1000]),
    st.sampled_from(["standard", "strict"]),
    st.sampled_from([0, 0, 120]),
)
some_wishes = st.builds(
    Wish,
    st.lists(st.integers(0, BUDGETS - 1), unique=True).map(tuple),
    AMOUNTS,
    st.sampled_from([0, 1, 200]),
    st.none() | st.integers(0, 5),
)
some_payments = st.builds(
    Payment, st.integers(0, 13), AMOUNTS, st.sampled_from(["success", "success", "failure"])
)
given_all = given(
    st.lists(some_terms, min_size=BUDGETS, max_size=BUDGETS),
    st.lists(some_wishes, min_size=1, max_size=14),
    st.lists(some_payments, max_size=14),
)
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few
@given_all
def test_it_answers_as_one_by_one(bank, terms, wishes, payments):
    compare(bank, terms, wishes, payments)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(few, max_examples=5_000)
@given_all
def test_it_answers_as_one_by_one_in_5000_batches(bank, terms, wishes, payments):
    compare(bank, terms, wishes, payments)


def compare(bank, terms, wishes, payments):
    empty_books()
    together, singly = Side(bank, terms, 1), Side(bank, terms, 2)

    answers = together.tell(bank.ask_once(*together.calls(wishes)))
    assert answers == singly.tell([bank.ask_once(call)[0] for call in singly.calls(wishes)])
    assert together.windows() == singly.windows()
    assert together.excesses() == singly.excesses()

    together.pay(payments)
    for payment in payments:
        singly.pay([payment])
    assert together.windows() == singly.windows()
    # A batch is one moment: what overran only between two of its bills was never seen.
    assert all(map(le, together.excesses(), singly.excesses()))
    assert together.rows() == singly.rows()
    assert together.rollups() == singly.rollups()
    assert recount() == []


class Side:
    """Budgets of equal terms, and a tag set of its own by which its rows are told apart."""

    def __init__(self, bank: Bank, terms: list[Terms], tag_set: int) -> None:
        self.bank, self.tag_set = bank, tag_set
        self.budgets = [make_budget(mode=each.mode) for each in terms]
        self.holds: list[Hold] = []
        for budget, each in zip(self.budgets, terms, strict=True):
            if each.spent:
                hold = bank.reserve([draw_on(budget)], 1, tag_set=tag_set)
                bank.settle(hold, each.spent)
            window = BudgetWindow.objects.filter(budget=budget)
            window.update(
                limit=each.limit, excess=max(0, each.spent - (each.limit or 0)) if each.spent else 0
            )

    def calls(self, wishes: list[Wish]) -> list[Ask]:
        found: list[Ask] = []
        for wish in wishes:
            if wish.repeats is not None and wish.repeats < len(found):
                found.append(found[wish.repeats])
                continue
            draws = [draw_on(self.budgets[n], f"tag:{n}") for n in wish.budgets]
            asked = estimate(wish.expected, wish.expected + wish.more)
            found.append(Ask(self.bank.ids.next(), draws, asked, intent(tag_set=self.tag_set)))
        return found

    def tell(self, verdicts: list[Hold | dict]) -> list[object]:
        """What each was answered, in words that are the same on both sides."""
        self.holds = [verdict for verdict in verdicts if isinstance(verdict, Hold)]
        return [self.tell_one(verdict) for verdict in verdicts]

    def tell_one(self, verdict: Hold | dict) -> object:
        if isinstance(verdict, Hold):
            return verdict.holds, verdict.held
        places = {budget.public_id: n for n, budget in enumerate(self.budgets)}
        numbers = tuple(verdict[name] for name in ("spent", "reserved", "requested", "limit"))
        return places[verdict["budget"]], verdict["mode"], *numbers

    def pay(self, payments: list[Payment]) -> None:
        async def post_all():
            for payment in payments:
                if payment.call < len(self.holds):
                    cost = payment.cost if payment.status == "success" else 0
                    hold = self.holds[payment.call]
                    self.bank.ledger.settle(hold, bill(cost, payment.status), record())
                    await asyncio.sleep(0)

        self.bank.run(post_all())
        self.bank.flush()

    def windows(self) -> list[tuple]:
        rows = BudgetWindow.objects.filter(budget__in=self.budgets).order_by("budget_id")
        return list(rows.values_list("spent", "reserved", "limit", "mode"))

    def excesses(self) -> list[int]:
        rows = BudgetWindow.objects.filter(budget__in=self.budgets).order_by("budget_id")
        return list(rows.values_list("excess", flat=True))

    def rows(self) -> list[tuple]:
        rows = SpendLog.objects.filter(tag_set_id=self.tag_set).order_by("id")
        return list(rows.values_list("status", "cost", "holds", "flags", "prompt_tokens"))

    def rollups(self) -> set[tuple]:
        """Summed, as an hour may end between the two sides."""
        rows = Rollup.objects.filter(tag_set_id=self.tag_set).order_by().values_list("span")
        names = ("cost", "requests", "failed", "refused", "prompt_tokens")
        return set(rows.annotate(*[Sum(name) for name in names]))
