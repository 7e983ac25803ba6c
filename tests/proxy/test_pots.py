"""/budget/*: shared budgets, who draws on them, and what they hold."""

import pytest

from proxy.key_cards import load_key_card
from spend.models import Audit, Budget, BudgetWindow
from tags.cards import load_tag_card
from tests.factories import make_key, make_pot, make_tag
from tests.tags.test_tag_writing import error_of, ok

pytestmark = pytest.mark.django_db

MEMBERS = {
    "budget_id", "max_budget", "soft_budget", "budget_duration", "budget_reset_at", "budget_mode",
    "spend", "reserved", "remaining", "tags", "keys", "created_at", "updated_at",
}  # fmt: skip


def test_it_makes_a_pot(management):
    body = {"budget_id": "q4-pot", "max_budget": 1000, "budget_duration": "quarterly"}
    answer = ok(management.post("/budget/new", body))

    assert answer.keys() == MEMBERS
    assert answer["budget_id"] == "q4-pot"
    assert (answer["max_budget"], answer["remaining"], answer["spend"]) == (1000.0, 1000.0, 0.0)
    assert answer["budget_reset_at"].endswith("-01T00:00:00Z")
    assert (answer["tags"], answer["keys"]) == ([], [])


def test_it_makes_an_id_when_none_is_given(management):
    answer = ok(management.post("/budget/new", {}))

    assert len(answer["budget_id"]) == 36
    assert Budget.objects.get().is_pot


def test_it_has_each_id_once(management):
    own = make_tag("a").budget.public_id
    make_pot(public_id="q4-pot")

    for name in ("q4-pot", " q4-pot", own):
        taken = management.post("/budget/new", {"budget_id": name})
        assert error_of(taken) == (409, "already_exists", "budget_id")


@pytest.mark.parametrize(
    ("field", "value", "type_"),
    [
        ("budget_id", "", "invalid_parameter"),
        ("budget_id", "a,b", "invalid_parameter"),
        ("budget_id", 5, "invalid_parameter"),
        ("max_budget", "5", "invalid_parameter"),
        ("budget_duration", "1y", "invalid_parameter"),
        ("budget_mode", "loose", "invalid_parameter"),
        ("rpm_limit", 5, "unsupported_field"),
        ("budget_limits", [{}], "unsupported_field"),
        ("limit", 5, "unknown_field"),
    ],
)
def test_it_names_the_field_that_is_wrong(management, field, value, type_):
    response = management.post("/budget/new", {field: value})

    assert error_of(response) == (400, type_, field)
    assert not Budget.objects.exists()


def test_it_shows_who_draws_on_it(management):
    pot = make_pot(public_id="q4-pot", limit="10")
    make_tag("b", pots=[pot])
    make_tag("a", pots=[pot])
    ok(management.post("/key/generate", {"key_alias": "svc", "shared_budget_ids": ["q4-pot"]}))
    nameless = ok(management.post("/key/generate", {"shared_budget_ids": ["q4-pot"]}))
    BudgetWindow.objects.filter(budget=pot).update(spent=4_000_000_000, reserved=1_000_000_000)

    (listed,) = ok(management.get("/budget/list"))
    (told,) = ok(management.post("/budget/info", {"budgets": ["q4-pot"]}))

    assert listed == told
    assert (told["tags"], told["keys"]) == (["a", "b"], [nameless["key_name"], "svc"])
    assert (told["spend"], told["reserved"], told["remaining"]) == (4.0, 1.0, 5.0)


def test_it_answers_in_the_order_asked(management):
    for name in ("a", "b"):
        make_pot(public_id=name)

    told = ok(management.post("/budget/info", {"budgets": ["b", "a", "b"]}))

    assert [pot["budget_id"] for pot in told] == ["b", "a"]
    missing = management.post("/budget/info", {"budgets": ["a", "c"]})
    assert error_of(missing) == (404, "not_found", "budgets")
    assert error_of(management.post("/budget/info", {})) == (400, "invalid_parameter", "budgets")


def test_it_changes_only_what_is_there(management):
    pot = make_pot(public_id="q4-pot", limit="10", duration="30d")
    BudgetWindow.objects.update(spent=4_000_000_000)

    after = ok(management.post("/budget/update", {"budget_id": "q4-pot", "max_budget": 20}))

    assert (after["max_budget"], after["spend"], after["budget_duration"]) == (20.0, 4.0, "30d")
    assert pot.windows.get().limit == 20_000_000_000
    after = ok(management.post("/budget/update", {"budget_id": "q4-pot", "budget_duration": "7d"}))
    assert after["spend"] == 0.0
    assert [entry.action for entry in Audit.objects.filter(kind="pot")] == ["change", "change"]


def test_it_knows_which_pots_there_are(management):
    own = make_tag("a").budget.public_id

    for name in ("q4-pot", own):
        response = management.post("/budget/update", {"budget_id": name})
        assert error_of(response) == (404, "not_found", "budget_id")
        assert error_of(management.post("/budget/delete", {"id": name})) == (404, "not_found", "id")
    response = management.post("/budget/update", {})
    assert error_of(response) == (400, "invalid_parameter", "budget_id")


def test_it_judges_a_change_by_what_is_stored(management):
    make_pot(public_id="q4-pot", limit="10", soft_limit="9")

    response = management.post("/budget/update", {"budget_id": "q4-pot", "max_budget": 5})

    assert error_of(response) == (400, "invalid_parameter", "soft_budget")


@pytest.mark.parametrize("owner", ["tag", "key"])
def test_it_is_not_deleted_while_somebody_draws(management, owner):
    pot = make_pot(public_id="q4-pot")
    if owner == "tag":
        make_tag("a", pots=[pot])
        leave = ("/tag/update", {"name": "a", "shared_budget_ids": []})
    else:
        key = ok(management.post("/key/generate", {"shared_budget_ids": ["q4-pot"]}))["token"]
        leave = ("/key/update", {"key": key, "shared_budget_ids": []})
    refused = management.post("/budget/delete", {"id": "q4-pot"})
    assert error_of(refused) == (409, "in_use", "id")

    ok(management.post(*leave))

    answer = ok(management.post("/budget/delete", {"id": "q4-pot"}))
    assert answer == {"message": "Budget q4-pot deleted successfully"}
    assert ok(management.get("/budget/list")) == []


def test_it_keeps_the_windows_of_a_deleted_pot(management):
    pot = make_pot(public_id="q4-pot")
    BudgetWindow.objects.update(spent=4)

    ok(management.post("/budget/delete", {"id": "q4-pot"}))
    again = ok(management.post("/budget/new", {"budget_id": "q4-pot"}))

    window = pot.windows.get()
    assert (window.spent, window.is_open) == (4, False)
    assert again["spend"] == 0.0


# -- cards ---------------------------------------------------------------------------------------


def test_it_draws_on_its_own_budget_then_further_ones_then_pots(management):
    pots = [make_pot(public_id=name, soft_limit="1") for name in ("z-pot", "a-pot")]
    tag = make_tag("a", further=[{"duration": "weekly"}, {"duration": "daily"}], pots=pots)

    card = load_tag_card("a")

    further = [draw.budget for draw in tag.draws.all() if not draw.budget.is_pot]
    assert [budget.duration for budget in further] == ["weekly", "daily"]
    assert [draw.budget for draw in card.draws] == [b.pk for b in (tag.budget, *further, *pots)]
    assert {draw.payer for draw in card.draws} == {"tag:a"}
    assert [draw.name for draw in card.draws][3:] == ["z-pot", "a-pot"]
    assert card.draws[3].soft_limit == 1_000_000_000


def test_it_loads_cards_in_two_queries(django_assert_num_queries):
    make_tag(
        "a", further=[{"duration": "daily"}], pots=[make_pot(), make_pot()],
        columns={"allowed_models": ["gpt-*"], "blocked": True, "rpm_limit": 5},
    )  # fmt: skip
    key = make_key("svc", tags=("x", "y"), columns={"allowed_tags": [], "required_tags": ["t-*"]})

    with django_assert_num_queries(2):
        tag_card = load_tag_card("a")
    with django_assert_num_queries(2):
        key_card = load_key_card(key.digest)

    assert (tag_card.allowed_models, tag_card.blocked, tag_card.rpm_limit) == (("gpt-*",), True, 5)
    assert len(tag_card.draws) == 4
    assert (key_card.default_tags, key_card.allowed_tags) == (("x", "y"), ())
    assert (key_card.required_tags, key_card.draws[0].payer) == (("t-*",), "key:svc")
    with django_assert_num_queries(1):
        assert load_tag_card("b") is None


def test_it_speaks_of_a_nameless_key_by_its_masked_text(management):
    answer = ok(management.post("/key/generate", {}))

    card = load_key_card(answer["token"])

    assert card.name == answer["key_name"]
    assert card.draws[0].payer == f"key:{answer['key_name']}"
