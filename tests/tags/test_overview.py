"""The Overview: its numbers are the log's, and it says first what somebody should do."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from spend.models import BudgetWindow, JobRun
from spend.rollover import database_now
from tags.charts.days import stack_days
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_model, make_tag
from tests.past import make_past_call
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HTMX = {"HX-Request": "true", "HX-Target": "overview"}


@pytest.fixture
def root():
    return root_client()


def spend_on(tag, amount, **named):
    """Of its own budget's open window."""
    window = BudgetWindow.objects.get(budget=tag.budget, is_open=True)
    make_past_call(tags=(tag.name,), cost=amount, windows=(window.pk,), **named)


def found_in(answer):
    return answer.context["found"]


def test_it_counts_each_call_once_and_says_what_is_counted_more_than_once(root):
    make_past_call(tags=("a", "b"), cost=dollars("3"))
    make_past_call(tags=("a",), cost=dollars("1"))
    make_past_call(tags=(), cost=dollars("0.5"))
    make_past_call(tags=("a",), status="failure", cost=0)
    make_past_call(tags=("b",), status="refused", cost=0)
    make_past_call(tags=("a",), cost=dollars("8"), ago=7 * DAY)

    answer = root.get("/?range=7d")

    found = found_in(answer)
    assert (found.total.cost, found.before.cost) == (dollars("4.5"), dollars("8"))
    assert (found.total.requests, found.total.failed, found.total.refused) == (4, 1, 1)
    assert (found.untagged, found.more_than_once) == (dollars("0.5"), dollars("3"))
    assert found.tags_refused == 1
    assert [(tag.name, tag.cost) for tag in found.tags] == [
        ("a", dollars("4")), ("b", dollars("3")),
    ]  # fmt: skip
    assert [(line.name, line.cost, line.before) for line in found.changes] == [
        ("a", dollars("4"), dollars("8")), ("b", dollars("3"), 0),
    ]  # fmt: skip
    text = text_of(answer)
    assert "25.0%" in text  # failed
    assert "11.1%" in text  # untagged
    assert "\u221244% against the 7 days before" in text
    assert 'status=seen">2 tags that calls carry are not registered' in text


@pytest.mark.parametrize("by", ["model", "key"])
def test_its_days_add_up_to_the_total(root, by):
    for n in range(3):
        make_past_call(tags=("a", "b"), model=f"m{n}", key_alias=f"k{n}", cost=n + 1, ago=n * DAY)

    answer = root.get(f"/?range=30d&by={by}")

    days = answer.context["days"]
    assert sum(column.total for column in days.columns) == found_in(answer).total.cost > 0
    assert len(days.series) == (3 if by == "model" else len(found_in(answer).keys))


def test_it_puts_budgets_first_that_need_somebody(root):
    make_tag("fine", limit="100")
    over, risky = make_tag("over", limit="5"), make_tag("risky", limit="10")
    spend_on(over, dollars("5"))
    spend_on(risky, dollars("9"))

    answer = root.get("/")

    assert [row.name for row in answer.context["needy"]] == ["over", "risky"]
    text = text_of(answer)
    assert "1 over budget" in text
    assert "1 at risk" in text
    assert f'/tags/{over.pk}/raise/"' in text


def test_it_tells_what_needs_attention(root):
    make_past_call()
    make_model("no-price", input=None, output=None)
    JobRun.objects.create(
        job="sweep", started_at=database_now(), last_success_at=database_now() - timedelta(hours=1)
    )

    text = text_of(root.get("/"))

    assert "1 model has no price, so calls are refused: no-price" in text
    assert "No job has run for 60 minutes" in text


def test_an_owner_sees_his_tags_and_no_totals():
    owner = User.objects.create(username="ola", is_staff=True)
    mine = make_tag("mine", limit="10")
    mine.owners.add(owner)
    spend_on(mine, dollars("4"))
    make_past_call(tags=("other",), cost=dollars("77"))

    text = text_of(client_of(owner).get("/"))

    assert "mine" in text
    assert '<data value="4.0">$4.00</data> of <data value="10.0">$10.00</data>' in text
    assert "$77" not in text
    assert ">other<" not in text


def test_it_shows_three_steps_before_the_first_call(root):
    text = text_of(root.get("/"))

    assert "Three steps to a first call" in text
    assert "/chat/completions" in text


def test_it_takes_a_bounded_number_of_queries(root, django_assert_max_num_queries):
    for _ in range(8):
        spend_on(make_tag(limit="0.000001"), 1_000)

    with django_assert_max_num_queries(13):
        answer = root.get("/")

    assert len(answer.context["needy"]) == 6


def test_its_part_is_the_whole_of_its_figures(root):
    make_past_call()

    part = text_of(root.get("/", headers=HTMX))

    assert part.startswith('<div id="overview"')
    assert 'hx-swap-oob="true"' in part


def test_a_bar_alone_is_no_wall():
    today = database_now().date()

    (column,) = stack_days({today: {"m": 5}}, today, today).columns

    assert column.width == 8
    assert column.x == 46
