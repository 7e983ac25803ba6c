"""Keys as pages: what they show, make, change, refuse; the secret once and nowhere else."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session

from proxy.credentials import digest_of
from proxy.models import APIKey
from spend.models import Audit, BudgetWindow
from spend.rollover import database_now
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_key, make_pot, unique
from tests.past import make_past_call
from tests.tags.test_roster_pages import text_of

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
DAY = timedelta(days=1)


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def viewer():
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.groups.add(Group.objects.get(name="FinOps viewer"))
    return client_of(user)


def sent(**changes):
    """A form as the browser sends it."""
    return {
        "alias": "ci", "default_tags": "team:a\nenv:prod", "client_tags": "any", "kind": "standard",
        "limit": "5", "duration": "monthly", "time_zone": "UTC", "more_metadata": "{}",
        "form_token": unique("token"), "further-TOTAL_FORMS": "0", "further-INITIAL_FORMS": "0",
        **changes,
    }  # fmt: skip


def names_in(answer):
    return [str(row.key) for row in answer.context["roster"].rows]


# -- the list --------------------------------------------------------------------------------------


def test_it_shows_how_each_stands(root, django_assert_max_num_queries):
    pot = make_pot(limit="100")
    for n in range(6):
        key = make_key(f"k{n}", limit="5", columns={"required_tags": ["env:*"]})
        key.draws.create(budget=pot, position=1)
        make_past_call(key_id=key.id, key_alias=key.alias, cost=dollars("1"))
    BudgetWindow.objects.filter(budget=key.budget).update(spent=dollars("5"))

    with django_assert_max_num_queries(9):
        answer = root.get("/keys/")

    assert names_in(answer) == [f"k{n}" for n in range(6)]
    assert [row.use.requests for row in answer.context["roster"].rows] == [1] * 6
    assert answer.context["roster"].counts["over"] == 1
    text = text_of(answer)
    assert "must carry env:*" in text
    assert "Over budget" in text
    assert key.secret not in text
    assert key.digest not in text


def test_it_is_filtered_searched_and_turned(root, monkeypatch):
    monkeypatch.setattr("proxy.key_roster.ROWS", 2)
    make_key("a", columns={"blocked": True})
    make_key("b", tags=("team:x",))
    make_key("c", columns={"expires_at": database_now() - DAY})

    first = root.get("/keys/")
    assert names_in(first) == ["a", "b"]
    assert names_in(root.get("/keys/", {"after": first.context["roster"].older})) == ["c"]
    assert names_in(root.get("/keys/?state=blocked")) == ["a"]
    assert names_in(root.get("/keys/?state=expired")) == ["c"]
    assert names_in(root.get("/keys/?state=active")) == ["b"]
    assert names_in(root.get("/keys/?tag=team:x")) == ["b"]
    assert names_in(root.get("/keys/?q=C&state=nonsense&after=%00")) == ["c"]
    assert "No key matches 'zzz'" in text_of(root.get("/keys/?q=zzz"))
    key = APIKey.objects.get(alias="b")
    for days, said in ((0, "never"), (91, "not in 90 days")):
        APIKey.objects.filter(pk=key.pk).update(created_at=database_now() - days * DAY)
        assert root.get("/keys/?q=b").context["roster"].rows[0].unused == said
        assert f'<span class="tile-note">{said}</span>' in text_of(root.get(f"/keys/{key.pk}/"))
    assert text_of(root.get("/keys/", headers={**HTMX, "HX-Target": "keys"})).startswith("<section")


def test_it_says_what_there_is_when_there_is_nothing(root):
    assert "No keys yet." in text_of(root.get("/keys/"))


# -- a new one -------------------------------------------------------------------------------------


def test_its_secret_is_shown_once(root):
    body = sent()
    answer = root.post("/keys/new/", body)

    secret = re.search(r'id="secret"[^>]*value="(sk-[\w-]{43})"', text_of(answer))[1]
    key = APIKey.objects.get()
    assert key.digest == digest_of(secret)
    assert (key.alias, key.metadata) == ("ci", {"tags": ["team:a", "env:prod"]})
    assert (key.budget.limit, key.budget.duration) == (dollars("5"), "monthly")
    assert "no-store" in answer["Cache-Control"]
    assert Audit.objects.get().actor == "root"
    again = root.post("/keys/new/", body, follow=True)
    assert "already" in text_of(again)
    assert APIKey.objects.count() == 1
    pages = (
        "/keys/",
        f"/keys/{key.pk}/",
        f"/keys/{key.pk}/edit/",
        f"/admin/proxy/apikey/{key.pk}/change/",
    )
    for page in pages:
        assert secret not in text_of(root.get(page))
    assert secret not in str([session.get_decoded() for session in Session.objects.all()])
    assert secret not in str(list(Audit.objects.values()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"alias": "taken"}, "Another key is named"),
        ({"alias": "master"}, "That is the name of the master key."),
        ({"limit": "abc"}, "Enter dollars, such as 500 or 0.25."),
        ({"default_tags": "a,b"}, "must not contain a comma"),
        ({"duration": "other", "other_length": "1y"}, "Must be"),
        ({"more_metadata": "[]"}, "object"),
        ({"rpm_limit": "0"}, "greater than or equal to 1"),
        ({"pots": "nowhere"}, "nowhere"),
    ],
)
def test_it_says_what_is_wrong_and_makes_nothing(root, changes, says):
    make_key("taken")

    assert says in text_of(root.post("/keys/new/", sent(**changes)), 422)
    assert APIKey.objects.count() == 1


def test_it_tries_its_rules_while_they_are_typed(root):
    body = sent(client_tags="listed", allowed_tags="team:*", required_tags="env:*\nregion:*")
    body |= {"tried": "team:b\ncost:x", "preview": "1"}

    text = text_of(root.post("/keys/new/", body, headers={**HTMX, "HX-Target": "preview"}))

    assert re.search(r"passes</span> team:b", text)
    assert re.search(r"refused</span> cost:x", text)
    assert "a tag like region:*" in text
    assert "a tag like env:*" not in text
    assert APIKey.objects.count() == 0


# -- one that there is -----------------------------------------------------------------------------


def test_its_page_tells_what_it_cost_and_who_changed_it(root, django_assert_max_num_queries):
    root.post("/keys/new/", sent())
    key = APIKey.objects.get()
    make_past_call(key_id=key.id, key_alias="ci", tags=("a", "b"), cost=dollars("3"))
    make_past_call(tags=("a",), cost=dollars("50"), key_alias="other")

    with django_assert_max_num_queries(14):
        answer = root.get(f"/keys/{key.pk}/")

    assert answer.context["figures"].cost == dollars("3")
    assert [line[:2] for line in answer.context["tag_lines"]] == [
        ("a", dollars("3")), ("b", dollars("3")),
    ]  # fmt: skip
    text = text_of(answer)
    assert "<b>root</b> created it" in text
    assert f"key={key.alias}" in text


def test_it_is_changed_and_no_change_is_lost(root):
    key = make_key(
        "ci", tags=("a",), limit="5", columns={"metadata": {"user_id": "u", "tags": ["a"]}}
    )
    version = APIKey.objects.get().updated_at.isoformat()
    body = sent(limit="7", default_tags="b", more_metadata='{"user_id": "u"}', version=version)

    root.post(f"/keys/{key.pk}/edit/", body)

    stored = APIKey.objects.get()
    assert (stored.budget.limit, stored.metadata) == (
        dollars("7"), {"user_id": "u", "tags": ["b"]},
    )  # fmt: skip
    assert stored.digest == key.digest
    text = text_of(root.post(f"/keys/{key.pk}/edit/", body), 409)
    assert "root changed this key while you typed" in text


def test_it_is_blocked_and_unblocked(root):
    key = make_key("ci")

    root.post(f"/keys/{key.pk}/block/")
    assert APIKey.objects.get().blocked
    root.post(f"/keys/{key.pk}/unblock/")
    assert not APIKey.objects.get().blocked
    assert [audit.action for audit in Audit.objects.order_by("id")] == ["block", "unblock"]


def test_its_new_secret_is_shown_once_and_the_old_one_may_live_on(root):
    key = make_key("ci")
    body = {"grace": "1h", "ending": key.ending}

    text = text_of(root.post(f"/keys/{key.pk}/regenerate/", body))

    secret = re.search(r'id="secret"[^>]*value="(sk-[\w-]{43})"', text)[1]
    stored = APIKey.objects.get()
    assert (stored.digest, stored.previous_digest) == (digest_of(secret), key.digest)
    assert root.post(f"/keys/{key.pk}/regenerate/", body).status_code == 302  # loaded again
    assert APIKey.objects.get().digest == stored.digest


def test_it_is_deleted_only_by_its_name(root):
    key = make_key("ci")

    assert root.post(f"/keys/{key.pk}/delete/", {"name": "c"}).status_code == 422
    assert root.post(f"/keys/{key.pk}/delete/", {"name": "ci"}).status_code == 302
    assert not APIKey.objects.present().exists()
    assert root.get(f"/keys/{key.pk}/").status_code == 404


def test_whoever_may_only_look_changes_nothing(viewer):
    key = make_key("ci")
    assert "Create New Key" not in text_of(viewer.get("/keys/"))
    assert "Edit" not in text_of(viewer.get(f"/keys/{key.pk}/")).split("<main")[1].split("</h1>")[0]
    for path in ("new", f"{key.pk}/edit", f"{key.pk}/block", f"{key.pk}/delete"):
        assert viewer.get(f"/keys/{path}/").status_code == 403
        assert viewer.post(f"/keys/{path}/", sent()).status_code == 403
    assert viewer.post(f"/keys/{key.pk}/regenerate/").status_code == 403
    owner = client_of(User.objects.create(username="ola", is_staff=True))
    assert owner.get("/keys/").status_code == 404
    assert owner.get(f"/keys/{key.pk}/").status_code == 404
