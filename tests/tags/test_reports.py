"""Reports: any two dimensions; sums over tags that say what they count more than once."""

import csv
import io
import itertools
from datetime import timedelta

import pytest

from spend.pivot import Most, Sums, read_pivot
from spend.pivot_sql import DIMENSIONS, TIMES
from spend.range_choices import choose_range
from spend.reports import Scope
from spend.rollover import database_now
from tags.pages import reports
from tags.report_table import lay_out
from tests.admin_clients import root_client, staff_client
from tests.factories import dollars
from tests.past import make_past_call
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HTMX = {"HX-Request": "true", "HX-Target": "report"}


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def calls():
    """$6: one call with two tags, one with one, one with none."""
    make_past_call(tags=("t:a", "t:b"), cost=dollars("3"), model="large", key_alias="ci")
    make_past_call(tags=("t:a",), cost=dollars("2"), model="small", key_alias="=web")
    make_past_call(tags=(), cost=dollars("1"), model="small", key_alias="ci")


def whole(**scope):
    covered = choose_range("7d", database_now(), time_zone="UTC").covered
    return Scope(covered=covered, **scope)


def texts(lines):
    return [(line.name, [cell and cell // 10**9 for cell in line.cells], line.total // 10**9)
            for line in lines]  # fmt: skip


@pytest.mark.parametrize("row", DIMENSIONS)
@pytest.mark.parametrize("column", [None, *DIMENSIONS])
def test_whatever_it_is_by_the_bill_is_the_bill(calls, row, column):
    found = read_pivot(whole(), row, column)

    assert (found.total.cost, found.untagged_total.cost) == (dollars("6"), dollars("1"))
    assert lay_out(found, row, column, "cost").footer[-1].total == dollars("6")


def test_tags_by_model_say_what_is_counted_more_than_once(calls):
    table = lay_out(read_pivot(whole(), "tag", "model"), "tag", "model", "cost")

    assert [name for _, name in table.columns] == ["large", "small"]
    assert texts(table.lines) == [("t:a", [3, 2], 5), ("t:b", [3, 0], 3)]
    assert texts(table.footer) == [
        ("Counted more than once", [-3, 0], -3), ("Untagged", [0, 1], 1), ("All calls", [3, 3], 6),
    ]  # fmt: skip


def test_a_prefix_counts_a_call_once_that_carries_it_twice(calls):
    table = lay_out(read_pivot(whole(), "prefix", None), "prefix", None, "cost")

    assert texts(table.lines) == [("t", [], 5)]
    assert [line.total for line in table.footer] == [0, dollars("1"), dollars("6")]


def test_tag_by_tag_tells_pairs(calls):
    table = lay_out(read_pivot(whole(), "tag", "tag"), "tag", "tag", "cost")

    assert texts(table.lines) == [("t:a", [5, 3], 5), ("t:b", [3, 3], 3)]


def test_what_is_too_much_to_show_is_other(calls):
    found = read_pivot(whole(), "model", "key", most=Most(1, 1))
    table = lay_out(found, "model", "key", "cost")

    assert [name for _, name in table.columns] == ["ci", "Other"]
    assert texts(table.lines) == [("large", [3, 0], 3), ("Other", [1, 2], 3)]
    assert texts(table.footer) == [("All calls", [4, 2], 6)]
    assert (table.rows_more, table.columns_more) == (1, 1)


@pytest.mark.parametrize("measure", ["cost", "average", "requests"])
def test_other_is_all_that_is_not_shown(calls, measure):
    """Summed by the database, it is what the whole pivot's cells come to."""
    make_past_call(tags=("t:b", "u"), cost=dollars("4"), model="tiny", key_alias="b", ago=DAY)

    for row, column in itertools.product(DIMENSIONS, DIMENSIONS):
        whole_one = read_pivot(whole(), row, column, measure=measure)
        cut = read_pivot(whole(), row, column, measure=measure, most=Most(1, 2))
        assert (cut.rows, cut.columns, cut.total) == (
            whole_one.rows, whole_one.columns, whole_one.total,
        )  # fmt: skip
        assert Sums.of(cut.cells.values()) == Sums.of(whole_one.cells.values()), (row, column)
        lines = lay_out(whole_one, row, column, measure).lines
        first, *left = lines[::-1] if row in TIMES else lines
        shown, *other = lay_out(cut, row, column, measure).lines
        assert shown.total == first.total, (row, column)
        assert len(other) == bool(left), (row, column)


def test_times_stand_in_their_order(root):
    for n in (2, 0, 1):
        make_past_call(cost=dollars(str(n + 1)), ago=n * DAY)

    answer = root.get("/reports/?rows=day&columns=none&range=7d")

    assert [line.total for line in answer.context["table"].lines] == [
        dollars("3"), dollars("2"), dollars("1"),
    ]  # fmt: skip


def test_an_average_is_of_calls_that_were_let_in(calls, root):
    make_past_call(tags=("t:a",), status="refused", model="small")

    answer = root.get("/reports/?rows=model&columns=none&measure=average&range=7d")

    assert [(line.name, line.total) for line in answer.context["table"].lines] == [
        ("large", dollars("3")), ("small", dollars("1.5")),
    ]  # fmt: skip


def test_the_page_leads_to_the_calls_and_compares(calls, root):
    make_past_call(tags=("t:a",), cost=dollars("10"), ago=8 * DAY)

    answer = root.get("/reports/?range=7d")

    text = text_of(answer)
    assert "\u221250%" in text  # t:a, from $10 to $5
    assert "tag=t%3Aa&amp;model=large" in text
    assert "A call that carries several tags counts under each of them" in text
    assert [line.is_new for line in answer.context["table"].lines] == [False, True]


def test_it_is_filtered(calls, root):
    table = root.get("/reports/?range=7d&rows=key&columns=none&tag=t:a").context["table"]

    assert texts(table.lines) == [("ci", [], 3), ("=web", [], 2)]


def test_the_file_has_all_of_it_and_nothing_that_runs(calls, root):
    answer = root.get("/reports/export.csv?rows=key&columns=model&range=7d")

    lines = list(csv.reader(io.StringIO(answer.content.decode())))
    assert lines[0] == ["key", "large", "small", "total"]
    assert ["'=web", "0.000000000", "2.000000000", "2.000000000"] in lines
    assert lines[-1] == ["All calls", "3.000000000", "3.000000000", "6.000000000"]
    assert "cost-by-key-and-model-" in answer["Content-Disposition"]


def test_the_bill_adds_up_to_the_report(calls, root):
    answer = root.get("/reports/focus.csv?range=7d&version=1.3")

    body = b"".join(answer.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(body)))
    assert sum(float(row["BilledCost"]) for row in rows) == 6
    assert root.get("/reports/focus.csv?first=2026-01-01&last=2026-06-30").status_code == 422


def test_nonsense_is_answered(calls, root):
    assert root.get("/reports/?rows=x&columns=y&measure=z&range=q").status_code == 200
    assert "before the first day" in text_of(
        root.get("/reports/?first=2026-11-02&last=2026-11-01"), 422
    )
    assert root.get("/reports/export.csv?first=2026-11-02&last=2026-11-01").status_code == 422
    assert "No calls from" in text_of(root.get("/reports/?tag=nobody"))


def test_too_many_lines_ask_for_less(calls, root, monkeypatch):
    monkeypatch.setattr("spend.pivot.ROWS_MAX", 3)

    assert reports.TOO_MANY in text_of(root.get("/reports/?range=7d"))
    assert root.get("/reports/export.csv?range=7d").status_code == 422


def test_the_part_is_the_report_alone(calls, root):
    assert text_of(root.get("/reports/?range=7d", headers=HTMX)).startswith('<div id="report"')


def test_who_may_not_see_sums_is_told_nothing(calls):
    assert staff_client().get("/reports/").status_code == 404
    assert staff_client("view_rollup").get("/reports/").status_code == 200


def test_it_takes_a_bounded_number_of_queries(calls, root, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        root.get("/reports/?range=7d&tag=t:a")
