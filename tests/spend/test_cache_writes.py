"""Cache writes: roll-ups tell their tokens, of calls before they did so too."""

from importlib import import_module

from django.db import connection

from spend.models import Rollup
from spend.usage import Usage
from tests.bank import draw_on
from tests.factories import make_budget

BEFORE = import_module("spend.migrations.0006_cache_writes").EARLIER
WRITTEN = Usage(input=10, cached_input=5, cache_write=30, cache_write_1h=20, output=3)


def told() -> list[int]:
    return list(Rollup.objects.order_by("span").values_list("cache_write_tokens", flat=True))


def test_they_are_summed(bank):
    budget = make_budget(limit="1")
    for usage in (WRITTEN, WRITTEN, Usage(input=1)):
        bank.settle(bank.reserve([draw_on(budget)], 1), 1, usage=usage)

    assert told() == [100, 100, 100]
    assert bank.differences() == []


def test_those_of_earlier_calls_are_found_in_the_log(bank):
    bank.settle(bank.reserve([draw_on(make_budget(limit="1"))], 1), 1, usage=WRITTEN)
    Rollup.objects.update(cache_write_tokens=0)

    with connection.cursor() as cursor:
        cursor.execute(BEFORE)

    assert told() == [50, 50, 50]
    assert bank.differences() == []
