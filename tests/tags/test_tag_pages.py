"""The pages of a tag: tabs and actions; who may see and do what."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, User

from spend.models import Audit, BudgetWindow
from spend.rollover import database_now
from spend.standings import read_standing
from spend.status import Status
from spend.usage import Usage
from tags.actions import change_tag
from tags.changes import Changes
from tags.models import Tag
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_pot, make_tag, unique
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOSTILE = "</script><b>\"x'&\u202d/new"[:15] + "/new"


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def search():
    """A tag with three budgets, calls of 20 days, and a window that is over."""
    pot = make_pot(public_id="eu", limit="1000", duration="quarterly")
    tag = make_tag(
        "team:search", limit="15", duration="30d", further=[{"limit": "50", "duration": "1d"}],
        pots=[pot], columns={"description": "Search <b>team</b>"},
    )  # fmt: skip
    for day in range(20):
        make_past_call(tags=("team:search", "env:prod"), cost=dollars("1"), ago=day * DAY)
    error = {"type": "budget_exceeded", "budget": tag.budget.public_id}
    make_past_call(tags=("team:search",), status="refused", record={"error": error})
    tag.budget.windows.update(spent=dollars("16"))
    return tag


def member(*groups: str) -> User:
    user = User.objects.create(username=unique("user"), is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def page(tag: Tag, tab: str = "") -> str:
    return f"/tags/{tag.pk}/{tab}"


def text_of(answer, status: int = 200) -> str:
    assert answer.status_code == status, answer.content.decode()[:3000]
    return " ".join(answer.content.decode().split())


def said_after(client, answer) -> str:
    assert answer.status_code == 302, answer.content.decode()[:2000]
    shown = client.get(answer["Location"])
    return " ".join(str(message) for message in shown.context["messages"])


# -- tabs ----------------------------------------------------------------------------------------


def test_it_shows_a_summary_in_a_bounded_number_of_queries(search, django_assert_max_num_queries):
    viewer = client_of(member("FinOps viewer"))
    plain = make_tag("plain", limit="100", duration="30d")
    make_past_call(tags=("plain",), ago=9 * DAY)

    with django_assert_max_num_queries(12):
        viewer.get(page(plain))
    with django_assert_max_num_queries(17):  # two for pots, three to say since when it is over
        answer = viewer.get(page(search))

    text = text_of(answer)
    for said in ("Over budget", "own: 30d", "own: 1d", "pot eu (1 tag): quarterly"):
        assert said in text
    assert "Search &lt;b&gt;team&lt;/b&gt;" in text
    assert "Raise this window" not in text
    assert '<data value="1">1</data> by this budget' in text
    assert "forecast without the limit" in answer.context["burn_label"]
    assert [line[0] for _, _, lines, _ in answer.context["lists"] for line in lines] == [
        "demo-fast",
        "ci",
        "env:prod",
    ]


@pytest.mark.parametrize("tab", ["", "breakdown/", "logs/", "alerts/", "history/", "edit/"])
def test_all_its_pages_and_the_list_agree_that_its_pace_is_too_high(root, tab):
    tag = make_tag("team:fast", limit="100", duration="30d")
    BudgetWindow.objects.filter(budget=tag.budget).update(
        starts_at=database_now() - 10 * DAY, ends_at=database_now() + 20 * DAY,
        spent=dollars("50"),
    )  # fmt: skip
    for day in range(10):
        make_past_call(tags=("team:fast",), cost=dollars("5"), ago=day * DAY)

    (row,) = root.get("/tags/?q=team:fast").context["roster"].rows
    answer = root.get(page(tag, tab))

    assert answer.context["status"] is row.status is Status.FORECAST_OVER
    assert [shown.status for shown in answer.context["rows"]] == [Status.FORECAST_OVER]


def test_it_answers_a_part_when_htmx_asks_for_it(root, search):
    headers = {"HX-Request": "true", "HX-Target": "figures"}

    part = text_of(root.get(page(search), headers=headers))

    assert part.startswith('<div id="figures"')
    assert "<html" not in part


def test_it_shows_what_a_tag_that_was_never_used_needs(root):
    tag = make_tag("fresh", limit="5")

    text = text_of(root.get(page(tag)))

    assert "fresh has not been used yet. " in text.replace("</h2><p>", " ")
    assert "&quot;tags&quot;: [&quot;fresh&quot;]" in text
    assert "too early to say" not in text


@pytest.mark.parametrize("by", ["model", "key", "day", "tag", "nonsense"])
def test_it_breaks_a_tag_down(root, search, by):
    answer = root.get(page(search, f"breakdown/?by={by}&range=30d"))

    text_of(answer)
    assert sum(line["totals"].spent for line in answer.context["lines"]) == dollars("20")
    assert answer.context["total"].spent == dollars("20")


def test_it_pages_through_its_calls_by_cursor(root, search, monkeypatch):
    monkeypatch.setattr("tags.pages.call_pages.ROWS", 8)
    first = root.get(page(search, "logs/?range=30d"))
    second = root.get(page(search, f"logs/?range=30d&before={first.context['found'].older}"))
    make_past_call(tags=("team:search",))
    back = root.get(page(search, f"logs/?range=30d&after={second.context['found'].newer}"))

    ids = [[one.call.id for one in answer.context["calls"]] for answer in (first, second, back)]
    assert ids[0] == ids[2]
    assert ids[0][-1] > ids[1][0]
    assert (first.context["found"].newer, len(ids[1])) == (None, 8)
    assert "before=" in text_of(first)


def test_it_narrows_calls_to_a_day_and_a_status(root, search):
    refused = root.get(page(search, "logs/?range=today&status=refused"))
    nothing = root.get(page(search, "logs/?day=1999-01-01&status=failure"))

    assert [one.call.status for one in refused.context["calls"]] == ["refused"]
    assert "No failure calls of team:search on 1 Jan 1999." in text_of(nothing)
    text_of(root.get(page(search, "logs/?day=0001-01-01&before=x&after=y&range=z")))


def test_it_tells_every_change_and_every_closed_window(root, search):
    change_tag("team:search", Changes({"blocked": True}), actor="ben")
    root.post(
        page(search, "reset/"),
        {"budget": search.budget.public_id, "name": "team:search", "reason": "a test"},
    )

    text = text_of(root.get(page(search, "history/")))

    for said in ("<b>ben</b> changed it", "<b>root</b> reset its spend", "Reason: a test", "106%"):
        assert said in text


# -- by name -------------------------------------------------------------------------------------


def test_it_leads_from_a_name_to_the_tag(root, search):
    answer = root.get("/tags/named/?name=team%3Asearch")

    assert answer["Location"] == page(search)


def test_it_shows_and_adopts_a_tag_that_was_only_seen(root, search):
    for tab in ("", "breakdown", "logs"):
        text = text_of(root.get(f"/tags/named/?name=env%3Aprod&tab={tab}"))
        assert "Adopt" in text
        assert "Budgets" not in text

    adopted = root.post("/tags/adopt/", {"name": "env:prod"})
    again = root.post("/tags/adopt/", {"name": "env:prod"})

    assert said_after(root, adopted) == (
        "env:prod is now a tag. It is counted without a limit. Set a budget?"
    )
    assert again["Location"] == "/tags/named/?name=env%3Aprod"
    assert Audit.objects.filter(action="adopt").count() == 1
    assert Tag.objects.get(name="env:prod").budget.limit is None


@pytest.mark.parametrize("name", ["", "nobody", "%00"])
def test_it_knows_no_other_names(root, name):
    assert root.get(f"/tags/named/?name={name}").status_code == 404
    assert root.post("/tags/adopt/", {"name": name}).status_code == 404


def test_it_shows_a_hostile_name_as_text(root):
    make_past_call(tags=(HOSTILE,))
    tag = make_tag(HOSTILE)

    named = root.get(f"/tags/named/?name={quote(HOSTILE)}")
    for tab in ("", "breakdown/", "logs/", "history/", "edit/", "delete/", "reset/", "raise/"):
        assert "</script><b>" not in text_of(root.get(page(tag, tab)))
    assert named["Location"] == page(tag)


# -- actions -------------------------------------------------------------------------------------


def test_it_raises_this_window_alone(root):
    tag = make_tag("search", limit="5000", duration="monthly")
    ask = text_of(root.get(page(tag, "raise/")))
    answer = root.post(
        page(tag, "raise/"), {"budget": tag.budget.public_id, "by": "10", "amount": ""}
    )

    said = said_after(root, answer)
    assert '10%, to <data value="5500.0">' in ask
    assert said.startswith("$5,500.00 until 1 ")
    assert said.endswith(", then $5,000.00 again.")
    assert read_standing(tag.budget).limit == dollars("5500")
    assert "raised for this window" in text_of(root.get(page(tag)))


def test_a_step_cures_a_tag_that_spent_more_than_its_limit(root):
    tag = make_tag("search", limit="3")
    tag.budget.windows.update(spent=dollars("4"))

    root.post(page(tag, "raise/"), {"budget": tag.budget.public_id, "by": "10", "amount": ""})

    assert read_standing(tag.budget).limit == dollars("4.4")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"by": "amount", "amount": "abc"}, "Enter dollars, such as 500 or 0.25."),
        ({"by": "amount", "amount": ""}, "Enter dollars, such as 500 or 0.25."),
        ({"by": "amount", "amount": "4999"}, "Enter more than the present $5,000.00."),
        ({"budget": "another", "by": "10"}, "Choose the budget"),
    ],
)
def test_it_raises_nothing_for_less(root, fields, said):
    tag = make_tag("search", limit="5000")

    answer = root.post(page(tag, "raise/"), {"budget": tag.budget.public_id, **fields})

    assert said in text_of(answer, 422)
    assert read_standing(tag.budget).limit == dollars("5000")


def test_it_goes_back_to_where_a_dialog_was_opened(root):
    tag = make_tag("search")
    headers = {
        "HX-Request": "true", "HX-Target": "dialog",
        "HX-Current-URL": "http://testserver/tags/?q=sea",
    }  # fmt: skip

    dialog = text_of(root.get(page(tag, "block/"), headers=headers))
    done = root.post(page(tag, "block/"), {"next": "/tags/?q=sea"}, headers=headers)
    away = root.post(page(tag, "unblock/"), {"next": "https://elsewhere.example/"})

    assert dialog.startswith('<h2 id="dialog-title">Block search</h2>')
    assert done["HX-Redirect"] == "/tags/?q=sea"
    assert away["Location"] == page(tag)


def test_it_blocks_and_unblocks(root):
    tag = make_tag("env:stage")

    blocked = said_after(root, root.post(page(tag, "block/")))
    assert Tag.objects.get(pk=tag.pk).blocked
    unblocked = said_after(root, root.post(page(tag, "unblock/")))

    assert blocked == (
        "Calls with env:stage are refused from now on. Nothing else changes. Unblock at any time."
    )
    assert unblocked == "Calls with env:stage are admitted again, as far as their budgets go."
    assert not Tag.objects.get(pk=tag.pk).blocked
    assert Audit.objects.filter(action="change", actor="root").count() == 2


def test_it_resets_only_what_was_typed(root):
    tag = make_tag("search", limit="5", further=[{"limit": "1", "duration": "daily"}])
    daily = tag.draws.all()[0].budget
    daily.windows.update(spent=dollars("0.5"))
    asked = {"budget": daily.public_id, "name": "search", "reason": "a bill was wrong"}

    for missing in ("budget", "name", "reason"):
        answer = root.post(page(tag, "reset/"), asked | {missing: ""})
        text_of(answer, 422)
        assert read_standing(daily).spent == dollars("0.5")
    said = said_after(root, root.post(page(tag, "reset/"), asked))

    assert said == ("The window of search with $0.50 is closed and kept; a new one is open at $0.")
    assert read_standing(daily).spent == 0
    assert BudgetWindow.objects.filter(budget=daily).count() == 2
    assert Audit.objects.first().reason == "a bill was wrong"


def test_it_deletes_only_what_was_typed(root):
    tag = make_tag("env:stage")
    make_past_call(tags=("env:stage",))
    make_past_call(tags=("env:stage",), status="refused")

    asked = text_of(root.get(page(tag, "delete/")))
    text_of(root.post(page(tag, "delete/"), {"name": "env:stag"}), 422)
    assert Tag.objects.filter(pk=tag.pk).exists()
    answer = root.post(page(tag, "delete/"), {"name": "env:stage"})

    assert (
        "Type env:stage to delete it. Its 2 log rows stay. Later calls with this name are counted"
        " as seen in traffic, without a budget." in asked
    )
    assert answer["Location"] == "/tags/"
    assert not Tag.objects.filter(pk=tag.pk).exists()
    assert root.get("/tags/named/?name=env%3Astage").status_code == 200


# -- who may -------------------------------------------------------------------------------------

FORMS = ("raise/", "block/", "unblock/", "reset/", "delete/")
TABS = ("", "breakdown/", "logs/", "history/")


@pytest.mark.parametrize(
    ("groups", "may"),
    [
        (("FinOps viewer",), ()),
        (("FinOps editor",), ("raise/", "block/", "unblock/", "edit/")),
        (("Platform admin",), (*FORMS, "edit/")),
    ],
)
def test_it_lets_each_group_do_what_it_may(groups, may):
    tag = make_tag("search", limit="5")
    client = client_of(member(*groups))

    for tab in TABS:
        text_of(client.get(page(tag, tab)))
    for form in (*FORMS, "edit/"):
        expected = 200 if form in may else 403
        assert client.get(page(tag, form)).status_code == expected, form
        if form not in may:
            assert client.post(page(tag, form), {"name": "search"}).status_code == 403, form
            assert f'href="{page(tag, form)}"' not in text_of(client.get(page(tag)))
    assert client.get("/tags/new/").status_code == (200 if may else 403)
    assert client.post("/tags/adopt/", {"name": "x"}).status_code == (404 if may else 403)
    assert Tag.objects.filter(pk=tag.pk, blocked=False).exists()


def test_it_shows_an_owner_his_own_tag_and_lets_him_describe_it():
    owner = member()
    own, other = make_tag("own", limit="5"), make_tag("other")
    make_past_call(tags=("own", "other"))
    own.owners.add(owner)
    client = client_of(owner)

    for tab in TABS:
        text_of(client.get(page(own, tab)))
        assert client.get(page(other, tab)).status_code == 404
    assert client.get("/tags/named/?name=own")["Location"] == page(own)
    assert client.get("/tags/named/?name=other").status_code == 404
    for form in FORMS:
        assert client.get(page(own, form)).status_code == 403
        assert client.get(page(other, form)).status_code == 404
    assert client.get(page(other, "edit/")).status_code == 404

    assert "Budgets, owners and rate limits" in text_of(client.get(page(own, "edit/")))
    assert text_of(client.post(page(own, "edit/"), {"description": "x" * 9_000}), 422)
    answer = client.post(page(own, "edit/"), {"description": "Ours", "limit": "9"})
    assert answer["Location"] == page(own)
    own.refresh_from_db()
    assert (own.description, own.budget.limit) == ("Ours", dollars("5"))


def test_it_names_no_tag_of_others_to_an_owner():
    owner = member()
    tag, also = make_tag("own"), make_tag("also-own")
    for one in (tag, also):
        one.owners.add(owner)
    make_past_call(tags=("own", "also-own", "secret-a", "secret-b"))
    make_past_call(tags=("own",), usage=Usage(input=4, cached_input=3, output=1))
    client = client_of(owner)

    texts = [text_of(client.get(page(tag, tab))) for tab in (*TABS, "breakdown/?by=tag")]

    assert not [text for text in texts if "secret" in text]
    assert "+2 more" in texts[2]
    assert [text for text in texts if "also-own" in text] == [texts[0], texts[2], texts[4]]
    assert 'data-label="Cached"><data value="3">3</data>' in texts[2]


def test_it_shows_nothing_to_others_and_sends_strangers_to_the_login(client):
    tag = make_tag("search")
    nobody = client_of(member())

    for tab in (*TABS, "edit/"):
        assert nobody.get(page(tag, tab)).status_code == 404
        assert client.get(page(tag, tab))["Location"].startswith("/admin/login/?next=")
