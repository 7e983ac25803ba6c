"""Creating and editing a tag on its page: fields, preview, conflicts, what is asked twice."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from spend.backtest import read_back_test
from spend.buckets import Payers
from spend.models import Audit, Budget, BudgetWindow
from spend.rollover import database_now
from spend.standings import read_standing
from spend.windows import Schedule
from tags.actions import change_tag, version_of
from tags.changes import Changes
from tags.models import Tag
from tests.admin_clients import fields_of, root_client
from tests.factories import dollars, make_key, make_pot, make_tag
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

NEW = "/tags/new/"
PREVIEW = {"HX-Request": "true", "HX-Target": "preview"}


@pytest.fixture
def root():
    return root_client()


def sent(answer, **changes):
    """What a browser would send of the page's forms with these fields changed."""
    found = fields_of(answer.context["form"])
    further = answer.context["further"]
    found |= fields_of(further.management_form)
    for form in further.forms:
        found |= fields_of(form)
    found |= changes
    return {name: value for name, value in found.items() if value or name not in ("owners", "pots")}


def edit(client, tag: Tag, **changes):
    page = f"/tags/{tag.pk}/edit/"
    return client.post(page, sent(client.get(page), **changes))


def create(client, **fields):
    return client.post(NEW, sent(client.get(NEW), **fields))


def messages_of(client, answer) -> str:
    assert answer.status_code == 302, answer.content.decode()[:2000]
    shown = client.get(answer["Location"])
    return " ".join(str(message) for message in shown.context["messages"])


# -- create --------------------------------------------------------------------------------------


def test_it_creates_a_tag_with_all_that_belongs_to_it(root):
    pot, key = make_pot(public_id="eu", limit="100"), make_key("ci")

    answer = create(
        root, name=" team:search ", description="Search", limit="5000", soft_limit="4000",
        duration="monthly", time_zone="Europe/Paris", alert_thresholds="50, 80", pots=["eu"],
        rpm_limit="60", allowed_models="gpt-4o\n", keys="ci",
        owners=[User.objects.get(username="root").pk],
    )  # fmt: skip

    tag = Tag.objects.with_budgets().get(name="team:search")
    assert answer["Location"] == f"/tags/{tag.pk}/"
    assert (tag.description, tag.rpm_limit, tag.allowed_models) == ("Search", 60, ["gpt-4o"])
    assert (tag.budget.limit, tag.budget.soft_limit) == (dollars("5000"), dollars("4000"))
    assert (tag.budget.duration, tag.budget.time_zone) == ("monthly", "Europe/Paris")
    assert [draw.budget for draw in tag.draws.all()] == [pot]
    assert [owner.username for owner in tag.owners.all()] == ["root"]
    key.refresh_from_db()
    assert key.metadata == {"tags": ["team:search"]}
    made = Audit.objects.get(kind="tag")
    assert (made.actor, made.action, made.name) == ("root", "create", "team:search")


def test_it_adds_another_after_this_one_and_takes_the_name_from_the_address(root):
    answer = create(root, name="a", kind="none", again="1")
    empty = root.get(f"{NEW}?name=env%3Aprod")

    assert answer["Location"] == NEW
    assert Tag.objects.get(name="a").budget.limit is None
    assert empty.context["form"]["name"].value() == "env:prod"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "id_name", "required"),
        ({"name": "a,b"}, "id_name", "comma"),
        ({"name": "taken"}, "id_name", "exists"),
        ({"limit": "abc"}, "id_limit", "Enter dollars, such as 500 or 0.25. Leave it empty"),
        ({"limit": "5", "soft_limit": "6"}, "id_soft_limit", "above the limit"),
        ({"duration": "other"}, "id_other_length", "36h"),
        ({"time_zone": "Paris"}, "id_time_zone", "IANA"),
        ({"rpm_limit": "0"}, "id_rpm_limit", "greater than or equal to 1"),
        ({"keys": "nobody"}, "id_keys", "no key"),
    ],
)
def test_it_says_at_the_field_what_is_wrong_and_writes_nothing(root, fields, field, said):
    make_tag("taken")

    answer = create(root, **{"name": "new", **fields})

    text = answer.content.decode()
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in text
    assert f'id="{field}-error"' in text
    assert said in text
    assert not Tag.objects.filter(name="new").exists()


def test_it_tells_whether_a_name_is_taken_or_seen(root):
    tag = make_tag("taken")
    make_past_call(tags=("seen",))
    part = {"HX-Request": "true", "HX-Target": "named"}

    taken = root.get(f"{NEW}?name=taken", headers=part).content.decode()
    seen = root.get(f"{NEW}?name=seen", headers=part).content.decode()

    assert f'href="/tags/{tag.pk}/"' in taken
    assert "Seen in traffic" in seen
    assert "<html" not in seen


def test_it_adds_further_budgets_without_a_script(root):
    one = root.post(NEW, sent(root.get(NEW), name="a", add="further"))
    two = root.post(NEW, sent(one, add="further"))
    changes = {"further-0-limit": "5", "further-1-limit": "7", "further-1-duration": "weekly"}
    clash = root.post(NEW, sent(two, **changes | {"further-1-duration": "daily"}))
    saved = root.post(NEW, sent(two, **changes))

    assert (one.status_code, len(two.context["further"].forms)) == (200, 2)
    assert clash.status_code == 422
    assert "Each needs a period of its own" in clash.content.decode()
    assert saved.status_code == 302
    draws = Tag.objects.get(name="a").draws.order_by("position")
    assert [(draw.budget.duration, draw.budget.limit) for draw in draws] == [
        ("daily", dollars("5")),
        ("weekly", dollars("7")),
    ]


# -- preview -------------------------------------------------------------------------------------


def test_it_previews_what_the_pure_function_says_and_writes_nothing(root):
    for day in range(12):
        make_past_call(tags=("team:search",), cost=dollars("40"), ago=timedelta(days=day, hours=1))
    fields = sent(root.get(NEW), name="team:search", limit="100", duration="7d", preview="1")
    counts = [model.objects.count() for model in (Tag, Budget, BudgetWindow, Audit)]

    part = root.post(NEW, fields, headers=PREVIEW)
    whole = root.post(NEW, fields)

    now = database_now()
    tested = read_back_test(
        Payers(("team:search",)), Schedule("7d", now), dollars("100"), now
    ).refused_windows
    text = part.content.decode()
    assert "<html" not in text
    assert "would have been refused" in text
    for window in tested:
        assert f'<data value="{window.refused_calls}">' in text
    assert "would have been refused" in whole.content.decode()
    assert [model.objects.count() for model in (Tag, Budget, BudgetWindow, Audit)] == counts


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"limit": "5", "duration": "other", "other_length": "59m"}, "too short to test"),
        ({"kind": "warn", "soft_limit": "4000"}, "Nothing is refused. You are told at"),
        ({"kind": "none"}, "No limit: spend is counted"),
        ({"limit": "5", "name": "fresh"}, "fresh has no calls yet"),
        ({"limit": "x"}, "Fill in the budget"),
        ({"limit": "5", "time_zone": "Europe/Paris"}, "00:00 CE"),
    ],
)
def test_it_previews_every_kind_of_budget(root, fields, said):
    answer = root.post(NEW, sent(root.get(NEW), preview="1", **fields), headers=PREVIEW)

    assert answer.status_code == 200
    assert said in answer.content.decode()


# -- edit ----------------------------------------------------------------------------------------


def test_it_shows_what_there_is_and_saving_it_again_changes_nothing(root):
    tag = make_tag(
        "search", limit="5", soft_limit="4", duration="36h", mode="strict",
        further=[{"limit": "1", "duration": "daily"}], pots=[make_pot(public_id="eu")],
    )  # fmt: skip

    answer = edit(root, tag)

    assert answer.status_code == 302, answer.context["form"].errors
    assert not Audit.objects.filter(action="change").exists()


def test_it_says_what_the_limit_was_and_that_calls_are_admitted_again(root):
    tag = make_tag("team:search", limit="5000", duration="monthly")
    tag.budget.windows.update(spent=dollars("5012.34"))

    said = messages_of(root, edit(root, tag, limit="6000"))

    assert said == ("Limit of team:search: $6,000.00, before $5,000.00. Calls are admitted again.")
    assert read_standing(tag.budget).limit == dollars("6000")


def test_it_asks_once_more_before_it_refuses_every_call(root):
    tag = make_tag("team:search", limit="6000", duration="monthly", time_zone="UTC")
    tag.budget.windows.update(spent=dollars("5012.34"))

    asked = edit(root, tag, limit="4000")
    text = " ".join(asked.content.decode().split())
    assert asked.status_code == 422
    assert "is already spent. With a limit of" in text
    assert "every call of team:search is refused until" in text
    assert read_standing(tag.budget).limit == dollars("6000")

    assert edit(root, tag, limit="4000", confirmed="yes").status_code == 302
    assert read_standing(tag.budget).limit == dollars("4000")


def test_it_says_that_another_period_closes_the_window(root):
    tag = make_tag("search", limit="5", duration="30d")
    tag.budget.windows.update(spent=dollars("4.98"))
    page = f"/tags/{tag.pk}/edit/"

    answer = root.post(page, sent(root.get(page), duration="weekly", preview="1"))

    text = " ".join(answer.content.decode().split())
    assert '<data value="4.98">$4.98</data>) and opens a new one at $0.' in text
    assert BudgetWindow.objects.count() == 1


def test_it_names_who_changed_the_limit_meanwhile(root):
    tag = make_tag("search", limit="5000")
    read = version_of(tag)
    change_tag("search", Changes(budget={"limit": dollars("7000")}), actor="ben")

    conflict = edit(root, tag, limit="6000", version=read)
    text = conflict.content.decode()
    assert conflict.status_code == 409
    assert "ben set this limit to $7,000.00 while you typed $6,000.00. Which one stays?" in text
    assert read_standing(tag.budget).limit == dollars("7000")

    assert root.post(f"/tags/{tag.pk}/edit/", sent(conflict)).status_code == 302
    assert read_standing(tag.budget).limit == dollars("6000")


def test_it_removes_a_further_budget_and_keeps_its_windows(root):
    tag = make_tag("search", further=[{"limit": "1", "duration": "daily"}])
    windows = BudgetWindow.objects.count()

    edit(root, tag, **{"further-0-DELETE": "on"})

    assert not Tag.objects.get(pk=tag.pk).draws.exists()
    assert BudgetWindow.objects.count() == windows
