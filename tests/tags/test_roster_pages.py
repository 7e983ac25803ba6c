"""The list of tags as pages: what they show, change, refuse; who may."""

import csv
import io
import re
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction

from spend.models import Audit
from spend.standings import read_standing
from tags.actions import change_tag
from tags.changes import Changes
from tags.models import Tag
from tags.roster import ROWS
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_pot, make_tag, unique
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOSTILE = ["<b>&\"'</b>", "=cmd()", "\u202edlo", "a/b", "new", "x" * 128]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def root():
    return root_client()


def text_of(answer, status=200):
    assert answer.status_code == status, answer.content.decode()[:2000]
    return " ".join(answer.content.decode().split())


def names_in(answer):
    return [row.name for row in answer.context["roster"].rows]


def link_in(answer, name):
    """Where the link of that id leads."""
    return unescape(re.search(rf'id="{name}"[^>]* href="([^"]*)"', text_of(answer))[1])


def lines_of(answer):
    body = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(body)))


def limit_of(tag):
    return Tag.objects.with_budgets().get(pk=tag.pk).budget.limit


# -- the list --------------------------------------------------------------------------------------


def test_it_takes_a_bounded_number_of_queries(root, django_assert_max_num_queries):
    pot = make_pot(limit="100")
    for n in range(8):
        tag = make_tag(limit="5", pots=[pot], further=[{"limit": "1", "duration": "1d"}])
        make_past_call(tags=(tag.name, "seen"), ago=n * DAY)

    with django_assert_max_num_queries(12):
        answer = root.get("/tags/")

    assert len(names_in(answer)) == 9


def test_it_says_what_there_is_when_there_is_nothing(root):
    text = text_of(root.get("/tags/"))
    assert "No tags yet. A tag is a name that calls carry and a budget can hold." in text
    assert 'class="chips"' not in text

    make_past_call(tags=("wild",))
    text = text_of(root.get("/tags/?q=serach"))
    assert "No tag matches 'serach'." in text
    assert '<a href="/tags/?status=seen">1 seen in traffic</a>' in text


def test_its_footer_says_what_was_counted_more_than_once(root):
    make_past_call(tags=("a", "b"), cost=dollars("2"))
    make_past_call(cost=dollars("1"))

    whole, part = text_of(root.get("/tags/")), text_of(root.get("/tags/?q=a"))

    for text in (whole, part):
        assert '<data value="3.0">$3.00</data> spent by' in text
    assert 'Sum of rows <data value="4.0">$4.00</data>' in whole
    assert "33.3% of it is untagged" in whole
    assert "rows overlap where a call has several tags" in part
    assert "counted more than once" not in part


def test_its_links_lead_on_and_back(root):
    for n in range(ROWS + 1):
        make_tag(f"t{n:02}")

    first = root.get("/tags/?sort=name&q=t")
    second = root.get(link_in(first, "older"))
    make_tag("a-t")
    back = root.get(link_in(second, "newer"))

    assert [len(names_in(answer)) for answer in (first, second, back)] == [ROWS, 1, ROWS]
    assert names_in(back) == names_in(first)
    assert "sort=name" in link_in(second, "newer")


@pytest.mark.parametrize(
    "query",
    ["status=none&sort=x&range=y&owner=z&prefix=%00", "before=x", "after=WyIxIiwi", "q=%25_%5C"],
)
def test_it_takes_nonsense_for_not_said(root, query):
    make_tag("a")

    text_of(root.get(f"/tags/?{query}"))


def test_it_shows_hostile_names_as_text_and_inert_in_the_file(root):
    for name in HOSTILE:
        make_tag(name, limit="1", columns={"description": "=1+1"})
        make_past_call(tags=(name,))

    text, lines = text_of(root.get("/tags/")), lines_of(root.get("/tags/export.csv"))

    assert "<b>&\"'</b>" not in text
    assert "&lt;b&gt;&amp;&quot;&#x27;&lt;/b&gt;" in text
    assert {line["tag"].removeprefix("'") for line in lines} == set(HOSTILE)
    assert "=cmd()" not in {line["tag"] for line in lines}
    assert {line["description"] for line in lines} == {"'=1+1"}


def test_its_file_is_exact_and_has_what_the_filter_has(root):
    tag = make_tag("team:search", limit="5", duration="monthly")
    make_tag("other")
    window = tag.budget.windows.get()
    make_past_call(tags=("team:search",), cost=1_234_567_891, windows=(window.pk,))

    answer = root.get("/tags/export.csv?prefix=team:")
    (line,) = lines_of(answer)

    assert answer["Content-Disposition"].startswith('attachment; filename="tags-2')
    assert (line["tag"], line["limit"], line["spent"]) == ("team:search", "5.0", "1.234567891")
    assert (line["percent_used"], line["spend_in_range"], line["calls_in_range"]) == (
        "24", "1.234567891", "1",
    )  # fmt: skip
    assert line["resets_at"] == window.ends_at.isoformat()
    assert lines_of(root.get("/tags/export.csv?name=other"))[0]["tag"] == "other"


def test_it_adopts_once(root):
    make_past_call(tags=("wild",))

    part = root.post("/tags/", {"adopt": "wild"}, headers=HTMX | {"HX-Target": "roster"})
    again = root.post("/tags/", {"adopt": "wild"}, headers=HTMX | {"HX-Target": "roster"})
    root.post("/tags/", {"adopt": "never seen"})

    assert text_of(part).startswith('<section id="roster"')
    assert "wild is now a tag." in part["HX-Trigger"]
    assert "wild is a tag already." in again["HX-Trigger"]
    assert list(Tag.objects.values_list("name", flat=True)) == ["wild"]
    assert Audit.objects.filter(action="adopt", actor="root").count() == 1


# -- a limit where it stands -----------------------------------------------------------------------


def field_of(client, tag):
    answer = client.get(f"/tags/{tag.pk}/limit/")
    return {"version": answer.context["version"], "limit": answer.context["typed"]}


@pytest.mark.parametrize(
    ("typed", "limit"), [("6000", "6000"), (" 1250.50 ", "1250.5"), ("0", "0")]
)
def test_it_sets_a_limit(root, typed, limit):
    tag = make_tag("a", limit="5")

    answer = root.post(f"/tags/{tag.pk}/limit/", field_of(root, tag) | {"limit": typed})

    assert answer["Location"] == "/tags/"
    assert limit_of(tag) == dollars(limit)
    assert Audit.objects.filter(action="change", actor="root").count() == 1


@pytest.mark.parametrize("typed", ["abc", "-1", "1e400", "0.0000000001", "9" * 40, "nan"])
def test_it_refuses_what_is_no_amount(root, typed):
    tag = make_tag("a", limit="5")

    answer = root.post(f"/tags/{tag.pk}/limit/", field_of(root, tag) | {"limit": typed})

    assert 'aria-invalid="true"' in text_of(answer, 422)
    assert limit_of(tag) == dollars("5")


def test_it_asks_once_more_before_it_takes_a_limit_away(root):
    tag = make_tag("a", limit="5")
    emptied = field_of(root, tag) | {"limit": ""}

    asked = text_of(root.post(f"/tags/{tag.pk}/limit/", emptied), 422)
    assert "Without a limit no call of a is refused." in asked
    assert limit_of(tag) == dollars("5")

    assert root.post(f"/tags/{tag.pk}/limit/", emptied | {"confirmed": "1"}).status_code == 302
    assert limit_of(tag) is None
    again = field_of(root, tag) | {"limit": ""}
    assert root.post(f"/tags/{tag.pk}/limit/", again).status_code == 302  # nothing to be taken


def test_it_asks_once_more_below_what_is_spent(root):
    tag = make_tag("a", limit="5", duration="monthly")
    tag.budget.windows.update(spent=dollars("3"))
    asked = field_of(root, tag) | {"limit": "2"}

    text = text_of(root.post(f"/tags/{tag.pk}/limit/", asked), 422)
    root.post(f"/tags/{tag.pk}/limit/", asked | {"confirmed": "1"})
    back = root.post(f"/tags/{tag.pk}/limit/", field_of(root, tag) | {"limit": "9"}, follow=True)

    assert "$3.00 is already spent. With a limit of $2.00 every call of a is refused until" in text
    assert "Limit of a: $9.00, before $2.00. Calls are admitted again." in text_of(back)


def test_it_names_who_was_faster(root):
    tag = make_tag("a", limit="5")
    asked = field_of(root, tag) | {"limit": "6000"}
    change_tag("a", Changes(budget={"limit": dollars("7000")}), actor="ben")

    text = text_of(root.post(f"/tags/{tag.pk}/limit/", asked), 409)

    assert (
        "ben set this limit to $7,000.00 while you typed $6,000.00. Which one stays?"
        in text.replace("&#x27;", "'")
    )
    assert limit_of(tag) == dollars("7000")


# -- several at once -------------------------------------------------------------------------------


def act(client, word, query, **fields):
    return client.post(f"/tags/bulk/?act={word}&{query}", fields)


def test_it_changes_all_that_match(root):
    tags = [make_tag(f"team:{n}", limit="10") for n in range(3)]
    other = make_tag("other", limit="10")
    ben = User.objects.create(username="ben", is_staff=True)

    act(root, "limit", "all=1&prefix=team:", limit="7")
    act(root, "raise", "all=1&prefix=team:", percent="10")
    act(root, "owner", "all=1&prefix=team:", owner="ben")
    act(root, "block", "name=team:0&name=team:1")
    back = act(root, "unblock", "name=team:1&prefix=team:")

    assert [limit_of(tag) for tag in (*tags, other)] == [dollars("7")] * 3 + [dollars("10")]
    assert [read_standing(tag.budget).limit for tag in tags] == [dollars("7.7")] * 3
    assert sorted(ben.owned_tags.values_list("name", flat=True)) == ["team:0", "team:1", "team:2"]
    assert list(Tag.objects.filter(blocked=True).values_list("name", flat=True)) == ["team:0"]
    assert back["Location"] == "/tags/?prefix=team%3A"


def test_it_adopts_several_and_leaves_out_what_is_a_tag(root):
    make_past_call(tags=("a", "b"))
    make_tag("c")

    asked = text_of(root.get("/tags/bulk/?act=adopt&all=1"))
    act(root, "adopt", "all=1")

    assert "Adopt: 2 tags" in asked
    assert "1 more is selected that this does not apply to." in asked
    assert set(Tag.objects.values_list("name", flat=True)) == {"a", "b", "c"}


def test_it_changes_none_when_one_cannot(root):
    first, free = make_tag("a", limit="10"), make_tag("b")

    text = text_of(act(root, "raise", "name=a&name=b", percent="10"), 422)

    assert "Nothing has changed. b: has no limit to raise" in text
    assert read_standing(first.budget).limit == dollars("10")
    assert limit_of(free) is None


@pytest.mark.parametrize(
    ("word", "query", "fields", "said"),
    [
        ("limit", "name=a", {"limit": "abc"}, "Enter dollars"),
        ("raise", "name=a", {"percent": "11"}, "Choose by how much."),
        ("owner", "name=a", {"owner": "nobody"}, "Choose somebody who may log in."),
        ("block", "", {}, "Select tags in the list first"),
        ("block", "name=%00&name=unknown", {}, "Select tags in the list first"),
    ],
)
def test_it_refuses_acts_that_make_no_sense(root, word, query, fields, said):
    tag = make_tag("a", limit="10")

    assert said in text_of(act(root, word, query, **fields), 422)
    assert (limit_of(tag), Tag.objects.get().blocked) == (dollars("10"), False)


def test_it_never_takes_a_part_for_all_that_match(root, monkeypatch):
    monkeypatch.setattr("tags.pages.roster_bulk.TAGS_MAX", 2)
    for name in "abc":
        make_tag(name)

    asked = text_of(root.get("/tags/bulk/?act=block&all=1"))
    text = text_of(act(root, "block", "all=1"), 422)

    for said in (asked, text):
        assert "3 tags match, and at most 2 are changed at once" in said
    assert not Tag.objects.filter(blocked=True).exists()


def test_it_exports_what_is_selected(root):
    make_tag("a")
    make_tag("b")

    answer = root.get("/tags/bulk/?act=export&name=b", follow=True)

    assert [line["tag"] for line in lines_of(answer)] == ["b"]
    assert root.get("/tags/bulk/?act=nothing").status_code == 404


# -- who may ---------------------------------------------------------------------------------------

VIEWER, EDITOR, ADMIN = "FinOps viewer", "FinOps editor", "Platform admin"
WHO = (VIEWER, EDITOR, ADMIN, "owner", "nobody")
# For each of WHO. The tag is `own`, which names the owner.
TABLE = [
    ("get", "/tags/", {}, (200, 200, 200, 200, 200)),
    ("get", "/tags/export.csv", {}, (200, 200, 200, 200, 200)),
    ("get", "/tags/new/", {}, (403, 200, 200, 403, 403)),
    ("get", "/tags/{own}/", {}, (200, 200, 200, 200, 404)),
    ("get", "/tags/{own}/breakdown/", {}, (200, 200, 200, 200, 404)),
    ("get", "/tags/{own}/logs/", {}, (200, 200, 200, 200, 404)),
    ("get", "/tags/{own}/history/", {}, (200, 200, 200, 200, 404)),
    ("get", "/tags/{other}/", {}, (200, 200, 200, 404, 404)),
    ("get", "/tags/{own}/edit/", {}, (403, 200, 200, 200, 404)),
    ("get", "/tags/{own}/limit/", {}, (404, 200, 200, 404, 404)),
    ("get", "/tags/named/?name=wild", {}, (200, 200, 200, 404, 404)),
    ("get", "/tags/bulk/?act=block&name=own", {}, (403, 200, 200, 403, 403)),
    ("get", "/tags/bulk/?act=export&name=own", {}, (302, 302, 302, 302, 302)),
    ("post", "/tags/", {"adopt": "wild"}, (403, 302, 302, 403, 403)),
    ("post", "/tags/adopt/", {"name": "wild"}, (403, 302, 302, 403, 403)),
    ("post", "/tags/new/",
     {"name": "made", "kind": "none", "duration": "monthly", "time_zone": "UTC",
      "further-TOTAL_FORMS": "0", "further-INITIAL_FORMS": "0"},
     (403, 302, 302, 403, 403)),
    ("post", "/tags/{own}/limit/", {"limit": "9", "version": "{version}"},
     (403, 302, 302, 403, 403)),
    ("post", "/tags/bulk/?act=block&name=own", {}, (403, 302, 302, 403, 403)),
    ("post", "/tags/bulk/?act=adopt&name=wild", {}, (403, 302, 302, 403, 403)),
    ("post", "/tags/{own}/raise/", {"budget": "{budget}", "by": "10"},
     (403, 302, 302, 403, 403)),
    ("post", "/tags/{own}/block/", {}, (403, 302, 302, 403, 403)),
    ("post", "/tags/{own}/unblock/", {}, (403, 302, 302, 403, 403)),
    ("post", "/tags/{own}/edit/", {"description": "Ours"}, (403, 422, 422, 302, 404)),
    ("post", "/tags/{own}/reset/", {"budget": "{budget}", "name": "own", "reason": "x"},
     (403, 403, 302, 403, 403)),
    ("post", "/tags/{own}/delete/", {"name": "own"}, (403, 403, 302, 403, 403)),
]  # fmt: skip


@pytest.mark.parametrize("who", WHO)
def test_each_may_what_the_table_says(who):
    place = WHO.index(who)
    user = User.objects.create(username=unique("user"), is_staff=True)
    user.groups.set(Group.objects.filter(name=who))
    client = client_of(user)

    found, expected = [], []
    for method, path, fields, codes in TABLE:
        with rolled_back():
            make_past_call(tags=("wild",))
            words = tags_for(user if who == "owner" else None)
            sent = {name: value.format(**words) for name, value in fields.items()}
            before = Audit.objects.count()
            code = getattr(client, method)(path.format(**words), sent or None).status_code
            is_written = Audit.objects.count() > before
        found.append((method, path, code, is_written))
        writes = method == "post" and codes[place] == 302 and "unblock" not in path
        expected.append((method, path, codes[place], writes))
    assert found == expected


@contextmanager
def rolled_back():
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def tags_for(owner):
    own, other = make_tag("own", limit="5"), make_tag("other")
    if owner is not None:
        own.owners.add(owner)
    return {
        "own": own.pk, "other": other.pk, "budget": own.budget.public_id,
        "version": own.updated_at.isoformat(),
    }  # fmt: skip
