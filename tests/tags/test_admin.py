"""Tags and pots in the admin: everything is saved by the verbs."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry

from spend.models import Audit, Budget, BudgetWindow
from tags.models import Tag
from tests.admin_clients import ROOT, errors_of, filled, root_client, staff_client, viewer_client
from tests.factories import dollars, make_pot, make_tag
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

TAGS = "/admin/tags/tag/"
BUDGETS = "/admin/spend/budget/"


def page_of(row):
    kind = "tags/tag" if isinstance(row, Tag) else "spend/budget"
    return f"/admin/{kind}/{row.pk}/change/"


def add_tag(client=None, **fields):
    client = client or root_client()
    page = client.get(f"{TAGS}add/")
    return client.post(f"{TAGS}add/", filled(page, **{"name": "engineering", **fields}))


def change(row, client=None, **fields):
    client = client or root_client()
    return client.post(page_of(row), filled(client.get(page_of(row)), **fields))


def further(n=0, **terms):
    """The fields of the nth further budget; of inlines this one comes first."""
    return {f"draws-{n}-{name}": value for name, value in terms.items()}


def window_of(row):
    return BudgetWindow.objects.open().get(budget=getattr(row, "budget", row))


def actions():
    return list(Audit.objects.order_by("id").values_list("actor", "action", "kind", "name"))


# -- a tag ---------------------------------------------------------------------------------------


def test_it_adds_a_tag_with_its_budget():
    answer = add_tag(
        description="Search team",
        limit="500.25",
        soft_limit="400",
        duration="monthly",
        time_zone="Europe/Berlin",
        mode="strict",
        alert_thresholds="100, 50",
        allowed_models="gpt-4o\n\ngpt-4o-*\n",
        rpm_limit="7",
    )

    tag = Tag.objects.select_related("budget").get()
    assert answer.status_code == 302
    assert (tag.name, tag.description, tag.created_by) == ("engineering", "Search team", ROOT)
    assert tag.allowed_models == ["gpt-4o", "gpt-4o-*"]
    assert (tag.rpm_limit, tag.tpm_limit) == (7, None)
    assert (tag.budget.limit, tag.budget.soft_limit) == (dollars("500.25"), dollars("400"))
    assert (tag.budget.duration, tag.budget.time_zone) == ("monthly", "Europe/Berlin")
    assert (tag.budget.mode, tag.budget.alert_thresholds) == ("strict", [50, 100])
    assert window_of(tag).limit == dollars("500.25")
    assert actions() == [(ROOT, "create", "tag", "engineering")]
    assert LogEntry.objects.get().object_id == str(tag.pk)


def test_it_adds_a_tag_without_a_limit():
    add_tag()

    tag = Tag.objects.get()
    assert (tag.budget.limit, tag.budget.duration, tag.budget.start) == (None, None, None)
    assert window_of(tag).ends_at is None


def test_it_keeps_a_name_in_its_one_form():
    add_tag(name="  Cafe\u0301 ")

    assert Tag.objects.get().name == "Caf\u00e9"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in ("", " ", "a,b", "!a", "&a", "a\nb", "a\u202eb", "a" * 129)),
        *(("limit", value) for value in ("-1", "NaN", "inf", "1e3", "abc", "$5", "0.0000000001")),
        *(("limit", value) for value in ("8000001", "1,000", "9" * 50)),
        *(("soft_limit", value) for value in ("501", "-0.1")),
        *(("duration", value) for value in ("0d", "-1d", "1.5h", "2 d", "5mo", "1y", "daily ly")),
        *(("time_zone", value) for value in ("Berlin", "localtime", "../etc/passwd")),
        *(("start", value) for value in ("soon", "2026-13-01T00:00", "1969-12-31T00:00:00")),
        *(("start", value) for value in ("0001-01-01T00:00:00", "2026-01-01T00:00:00Z")),
        *(("mode", value) for value in ("", "lenient")),
        *(("alert_thresholds", value) for value in ("0", "101", "80.5", "a", "\u0668")),
        *(("rpm_limit", value) for value in ("0", "-1", "1.5", "x", str(2**63))),
        ("max_parallel_requests", str(2**31)),
        ("allowed_models", "m" * 256),
        ("allowed_models", "a\x00"),
        ("description", "d" * 1_001),
    ],
)
def test_it_refuses_what_the_api_refuses(field, value):
    answer = add_tag(**{"limit": "500", "duration": "daily", field: value})

    assert field in errors_of(answer)
    assert not Tag.objects.exists()
    assert not Budget.objects.exists()
    assert not Audit.objects.exists()


def test_it_refuses_a_start_without_a_duration():
    assert "start" in errors_of(add_tag(start="2026-01-01T00:00:00"))


def test_it_refuses_a_name_that_is_taken():
    make_tag("engineering")

    assert "name" in errors_of(add_tag())
    assert Tag.objects.count() == 1


def test_it_reads_a_start_on_the_clock_of_its_zone():
    add_tag(duration="weekly", time_zone="America/New_York", start="2026-11-01T09:30:00")

    tag = Tag.objects.get()
    assert tag.budget.start == datetime(2026, 11, 1, 14, 30, tzinfo=UTC)
    shown = root_client().get(page_of(tag)).context["adminform"].form["start"].value()
    assert shown == "2026-11-01T09:30:00"


def test_it_changes_a_limit_within_the_open_window():
    tag = make_tag("engineering", limit="500", duration="30d")
    before = window_of(tag)
    make_past_call(tags=("engineering",), cost=dollars("2.5"), windows=(before.pk,))

    answer = change(tag, limit="600")

    after = window_of(tag)
    assert answer.status_code == 302
    assert (after.pk, after.spent, after.limit) == (before.pk, dollars("2.5"), dollars("600"))
    assert actions()[1:] == [(ROOT, "change", "tag", "engineering")]
    audit = Audit.objects.latest("id")
    assert (audit.before["budget"]["limit"], audit.after["budget"]["limit"]) == ("500.0", "600.0")


def test_it_opens_a_new_window_for_another_duration():
    tag = make_tag("engineering", limit="500", duration="30d")
    before = window_of(tag)

    change(tag, duration="daily")

    before.refresh_from_db()
    assert not before.is_open
    assert window_of(tag).pk != before.pk


def test_it_changes_nothing_when_nothing_was_changed():
    start = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # the second 02:30 of that night in Berlin
    tag = make_tag(
        "engineering",
        limit="500",
        duration="weekly",
        time_zone="Europe/Berlin",
        start=start,
        further=[{"limit": "25", "duration": "daily", "mode": "strict"}],
        pots=[make_pot(limit="9")],
        columns={"allowed_models": ["gpt-4o"], "rpm_limit": 7, "description": "x"},
    )
    windows = list(BudgetWindow.objects.order_by("pk").values_list("pk", "is_open"))

    answer = change(tag)

    assert answer.status_code == 302
    assert Tag.objects.get().budget.start == start
    assert list(BudgetWindow.objects.order_by("pk").values_list("pk", "is_open")) == windows
    assert [action for _, action, kind, _ in actions() if kind == "tag"] == ["create"]


def test_it_never_changes_a_name():
    tag = make_tag("engineering")

    change(tag, name="marketing", description="new")

    tag.refresh_from_db()
    assert (tag.name, tag.description) == ("engineering", "new")


def test_it_takes_no_money_and_no_window_from_a_form():
    tag = make_tag("engineering", limit="5")

    change(tag, limit="5", spent="0", reserved="9", budget="1", created_by="me", is_pot="on")

    window = window_of(tag)
    tag.refresh_from_db()
    assert (window.spent, window.reserved, tag.created_by) == (0, 0, "test")
    assert not tag.budget.is_pot


def test_it_blocks_a_tag_in_its_form():
    tag = make_tag("engineering")

    change(tag, blocked="on")

    tag.refresh_from_db()
    assert tag.blocked


def test_it_deletes_a_tag_and_keeps_its_history():
    tag = make_tag("engineering", limit="5")
    window = window_of(tag)
    call = make_past_call(tags=("engineering",), cost=7, windows=(window.pk,))
    client = root_client()

    asked = client.get(f"{TAGS}{tag.pk}/delete/").content.decode()
    answer = client.post(f"{TAGS}{tag.pk}/delete/", {"post": "yes"})

    window.refresh_from_db()
    assert "log rows, budgets and windows stay" in asked
    assert answer.status_code == 302
    assert not Tag.objects.exists()
    assert (window.is_open, window.spent) == (False, 7)
    assert client.get(f"/admin/spend/spendlog/{call}/change/").status_code == 200
    assert actions()[-1] == (ROOT, "delete", "tag", "engineering")


# -- its draws -----------------------------------------------------------------------------------


def test_it_adds_further_budgets_and_pots():
    pot = make_pot(limit="9")

    answer = add_tag(
        **{"limit": "500", "draws-TOTAL_FORMS": "1", "draws-2-TOTAL_FORMS": "1"},
        **further(limit="25", duration="daily", mode="strict", time_zone="UTC"),
        **{"draws-2-0-budget": str(pot.pk)},
    )

    assert answer.status_code == 302, errors_of(answer)
    daily, shared = Tag.objects.get().draws.select_related("budget")
    assert (daily.budget.limit, daily.budget.duration) == (dollars("25"), "daily")
    assert (daily.budget.mode, daily.budget.is_pot) == ("strict", False)
    assert shared.budget == pot


def test_it_changes_and_removes_further_budgets():
    tag = make_tag(
        further=[{"limit": "25", "duration": "daily"}, {"limit": "99", "duration": "weekly"}]
    )
    daily, weekly = (draw.budget for draw in tag.draws.select_related("budget"))
    window = window_of(daily)

    answer = change(tag, **further(0, limit="30"), **further(1, DELETE="on"))

    assert answer.status_code == 302
    assert [draw.budget for draw in Tag.objects.get().draws.all()] == [daily]
    assert (window_of(daily).pk, window_of(daily).limit) == (window.pk, dollars("30"))
    assert not weekly.windows.filter(is_open=True).exists()


def test_it_leaves_a_pot_that_others_go_on_with():
    pot = make_pot(limit="9")
    tag = make_tag(pots=[pot])

    change(tag, **{"draws-2-0-DELETE": "on"})

    assert not Tag.objects.get().draws.exists()
    assert window_of(pot).limit == dollars("9")


def test_it_refuses_two_further_budgets_of_one_duration():
    answer = add_tag(
        **{"draws-TOTAL_FORMS": "2"},
        **further(0, limit="1", duration="monthly", mode="standard"),
        **further(1, limit="2", duration="1mo", mode="standard"),
    )

    assert "draws" in errors_of(answer)
    assert not Tag.objects.exists()


def test_it_refuses_bad_terms_of_a_further_budget():
    answer = add_tag(
        **{"draws-TOTAL_FORMS": "1"}, **further(limit="-1", duration="daily", mode="standard")
    )

    assert "draws-0-limit" in errors_of(answer)


def test_it_draws_on_pots_only():
    own = make_tag(limit="5").budget

    answer = add_tag(**{"draws-2-TOTAL_FORMS": "1", "draws-2-0-budget": str(own.pk)})

    assert "draws-2-0-budget" in errors_of(answer)
    assert Tag.objects.count() == 1


def test_it_offers_pots_only():
    pot = make_pot(limit="9")
    make_tag(limit="5")
    asked = {"app_label": "tags", "model_name": "tagdraw", "field_name": "budget"}

    found = root_client().get("/admin/autocomplete/", asked).json()["results"]

    assert found == [{"id": str(pot.pk), "text": pot.public_id}]


# -- the list, and what is done to many ----------------------------------------------------------


def test_it_lists_how_tags_stand():
    tag = make_tag("engineering", limit="5", duration="daily")
    make_past_call(tags=("engineering",), cost=dollars("4.5"), windows=(window_of(tag).pk,))
    make_tag("marketing")
    make_tag("stopped", limit="0")

    page = root_client().get(TAGS).content.decode()

    assert '<data value="4.5">$4.50</data>' in page
    assert "90%" in page
    for word in ("At risk", "Tracked", "Over budget"):
        assert word in page


def test_its_status_counts_every_budget_it_draws_on():
    pot = make_pot(limit="0")
    tag = make_tag("engineering", limit="500", pots=[pot])

    assert "Over budget" in root_client().get(TAGS).content.decode()
    assert "Over budget" in root_client().get(page_of(tag)).content.decode()


def test_it_lists_any_number_of_tags_in_a_fixed_number_of_queries(django_assert_max_num_queries):
    pot = make_pot(limit="9")
    for _ in range(20):
        make_tag(limit="5", further=[{"limit": "1", "duration": "daily"}], pots=[pot])
    client = root_client()
    client.get(TAGS)

    with django_assert_max_num_queries(9):
        client.get(TAGS)
    with django_assert_max_num_queries(10):
        client.get(BUDGETS)


@pytest.mark.parametrize(("limit", "names"), [("yes", ["a"]), ("no", ["b"]), ("", ["a", "b"])])
def test_it_filters_by_having_a_limit(limit, names):
    make_tag("a", limit="5")
    make_tag("b")

    found = root_client().get(TAGS, {"limit": limit} if limit else {}).context["cl"].result_list

    assert [tag.name for tag in found] == names


def test_it_asks_before_it_blocks_many():
    tags = [make_tag("a"), make_tag("b")]
    chosen = {"action": "block", "_selected_action": [tag.pk for tag in tags]}
    client = root_client()

    asked = client.post(TAGS, chosen)
    assert not Tag.objects.filter(blocked=True).exists()
    done = client.post(TAGS, {**chosen, "confirmed": "yes"})

    assert "<li>a</li>" in asked.content.decode()
    assert done.status_code == 302
    assert Tag.objects.filter(blocked=True).count() == 2
    assert actions()[2:] == [(ROOT, "change", "tag", "a"), (ROOT, "change", "tag", "b")]
    assert LogEntry.objects.count() == 2


def test_it_unblocks_many():
    tag = make_tag("a", columns={"blocked": True})
    chosen = {"action": "unblock", "_selected_action": [tag.pk], "confirmed": "yes"}

    root_client().post(TAGS, chosen)

    assert not Tag.objects.get().blocked


def test_it_deletes_many_by_the_verb():
    tags = [make_tag("a"), make_tag("b")]
    chosen = {"action": "delete_selected", "_selected_action": [tag.pk for tag in tags]}
    client = root_client()

    asked = client.post(TAGS, chosen)
    client.post(TAGS, {**chosen, "post": "yes"})

    assert "stay, for the history" in asked.content.decode()
    assert not Tag.objects.exists()
    assert not BudgetWindow.objects.open().exists()
    assert [action for _, action, _, _ in actions()] == ["create", "create", "delete", "delete"]


# -- who may -------------------------------------------------------------------------------------


def test_it_serves_whoever_may_only_view():
    tag = make_tag(
        "engineering",
        limit="500",
        duration="daily",
        further=[{"limit": "25", "duration": "weekly"}],
        pots=[make_pot(limit="9")],
    )
    client = viewer_client()

    assert client.get(TAGS).status_code == 200
    page = client.get(page_of(tag)).content.decode()
    for text in ("$500.00", "daily", "$25.00", "weekly", "Stop at the limit"):
        assert text in page
    assert '<input type="submit"' not in page
    assert 'name="limit"' not in page
    assert client.get(f"{TAGS}add/").status_code == 403
    assert client.post(page_of(tag), {"limit": "1"}).status_code == 403
    assert client.post(f"{TAGS}{tag.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "block", "_selected_action": [tag.pk], "confirmed": "yes"}
    client.post(TAGS, chosen)
    tag.refresh_from_db()
    assert (tag.blocked, tag.budget.limit) == (False, dollars("500"))


def test_it_lets_whoever_may_change_tags_change_their_budgets():
    tag = make_tag("engineering", limit="500", further=[{"limit": "25", "duration": "daily"}])
    client = staff_client("view_tag", "change_tag")

    answer = change(tag, client, limit="7", **further(0, limit="3"))

    tag.refresh_from_db()
    assert answer.status_code == 302
    assert tag.budget.limit == dollars("7")
    assert Tag.objects.get().draws.get().budget.limit == dollars("3")
    assert client.get(f"{TAGS}add/").status_code == 403
    assert client.post(f"{TAGS}{tag.pk}/delete/", {"post": "yes"}).status_code == 403


def test_it_tells_what_a_verb_turned_down(monkeypatch):
    """The tag was deleted by somebody else while the form was open."""
    tag = make_tag("engineering")
    client = root_client()
    sent = filled(client.get(page_of(tag)), description="new")
    monkeypatch.setattr("tags.admin.tags.change_tag", turn_down)

    answer = client.post(page_of(tag), sent, follow=True)

    assert "There is no tag" in answer.content.decode()
    assert not LogEntry.objects.exists()


def turn_down(*_, **__):
    from tags.errors import NotThere

    raise NotThere("There is no tag 'engineering'.", "name")


# -- pots ----------------------------------------------------------------------------------------


def add_pot(**fields):
    client = root_client()
    page = client.get(f"{BUDGETS}add/")
    return client.post(f"{BUDGETS}add/", filled(page, **{"public_id": "q4-pot", **fields}))


def test_it_adds_a_pot():
    answer = add_pot(limit="9000", duration="quarterly", mode="strict")

    pot = Budget.objects.get()
    assert answer.status_code == 302
    assert (pot.public_id, pot.is_pot, pot.limit) == ("q4-pot", True, dollars("9000"))
    assert (pot.duration, pot.mode) == ("quarterly", "strict")
    assert window_of(pot).limit == dollars("9000")
    assert actions() == [(ROOT, "create", "pot", "q4-pot")]


@pytest.mark.parametrize(
    ("field", "value"),
    [("public_id", ""), ("public_id", "a\nb"), ("public_id", "p" * 129), ("limit", "-1")],
)
def test_it_refuses_a_bad_pot(field, value):
    assert field in errors_of(add_pot(**{field: value}))
    assert not Budget.objects.exists()


def test_it_refuses_a_pot_whose_name_is_taken():
    make_pot(limit="9", public_id="q4-pot")

    assert "public_id" in errors_of(add_pot())


def test_it_changes_a_pot_within_its_open_window():
    pot = make_pot(limit="9", duration="monthly", public_id="q4-pot")
    before = window_of(pot)

    answer = change(pot, limit="10")

    after = window_of(pot)
    assert answer.status_code == 302
    assert (after.pk, after.limit) == (before.pk, dollars("10"))
    assert actions() == [(ROOT, "change", "pot", "q4-pot")]


def test_it_shows_a_budgets_newest_windows():
    pot = make_pot(limit="9", duration="1s")
    last = window_of(pot)
    for n in range(1, 31):
        span = {"starts_at": datetime(2026, 1, n, tzinfo=UTC), "is_open": False}
        BudgetWindow.objects.create(
            budget=pot, mode="standard", ends_at=datetime(2026, 1, n, 1, tzinfo=UTC), **span
        )

    page = root_client().get(page_of(pot)).content.decode()

    assert page.count('<tr class="form-row') == 24
    assert last.starts_at.isoformat() in page
    assert "2026-01-30" in page
    assert "2026-01-07T00" not in page


def test_it_says_who_draws_on_a_budget_and_changes_it_only_there():
    pot = make_pot(limit="9")
    tags = [make_tag(name, pots=[pot]) for name in ("a", "b", "c", "d")]
    client = root_client()

    listed = client.get(BUDGETS).content.decode()
    own = client.get(page_of(tags[0].budget))

    assert "+1 more" in listed
    assert page_of(tags[0]) in own.content.decode()
    assert 'name="limit"' not in own.content.decode()
    assert client.post(page_of(tags[0].budget), {"limit": "1"}).status_code == 403


def test_it_deletes_a_pot_that_nobody_draws_on():
    pot = make_pot(limit="9", public_id="q4-pot")

    answer = root_client().post(f"{BUDGETS}{pot.pk}/delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert not Budget.objects.filter(public_id="q4-pot").exists()
    assert pot.windows.count() == 1
    assert actions() == [(ROOT, "delete", "pot", "q4-pot")]


def test_it_keeps_a_pot_that_somebody_draws_on():
    pot = make_pot(limit="9", public_id="q4-pot")
    make_tag(pots=[pot])

    answer = root_client().post(f"{BUDGETS}{pot.pk}/delete/", {"post": "yes"}, follow=True)

    assert "still draws on the budget" in answer.content.decode()
    assert Budget.objects.filter(public_id="q4-pot", is_pot=True).exists()
    assert not LogEntry.objects.exists()
