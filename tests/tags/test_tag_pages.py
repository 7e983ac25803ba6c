"""The pages of a tag: tabs, form, actions; who may see and do what."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from tags.models import Tag
from tests.admin_clients import root_client
from tests.factories import dollars, make_pot, make_tag, unique
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def search():
    """A tag with three budgets, calls of 20 days, and a window that is over."""
    pot = make_pot(public_id="eu", limit="1000", duration="quarterly")
    tag = make_tag(
        "team:search", limit="15", duration="30d", further=[{"limit": "5", "duration": "1d"}],
        pots=[pot], columns={"description": "Search <b>team</b>"},
    )  # fmt: skip
    for day in range(20):
        make_past_call(tags=("team:search", "env:prod"), cost=dollars("1"), ago=day * DAY)
    make_past_call(tags=("team:search",), status="refused")
    tag.budget.windows.update(spent=dollars("16"))
    return tag


def member(group: str) -> User:
    user = User.objects.create(username=unique("user"), is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return user


def page(tag: Tag, tab: str = "") -> str:
    return f"/tags/{tag.pk}/{tab}"


def text_of(answer, status: int = 200) -> str:
    assert answer.status_code == status, answer.content.decode()[:3000]
    return answer.content.decode()


def test_it_shows_a_summary(root, search, django_assert_max_num_queries):
    with django_assert_max_num_queries(20):
        answer = root.get(page(search))
    text = text_of(answer)

    assert "Over budget" in text
    for said in ("own: 30d", "own: 1d", "pot eu (1 tag): quarterly", "Raise this window"):
        assert said in text
    assert "Search &lt;b&gt;team&lt;/b&gt;" in text
    assert answer.context["summary"].breakdown.seen_with[0].name == "env:prod"
