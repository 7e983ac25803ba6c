"""/tag/new, update, delete, adopt, reset_spend: their fields, their rules, windows and audit."""

from datetime import datetime, timedelta

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spend.models import Audit, Budget, BudgetWindow, TagSet
from spend.rollover import database_now
from tags.models import Tag
from tags.serializers import TagObject
from tests.conftest import client_of
from tests.factories import make_pot, make_tag

pytestmark = pytest.mark.django_db

DEFAULTS = {
    "description": None, "models": [], "blocked": False, "spend": 0.0, "reserved": 0.0,
    "remaining": None, "total_spend": 0.0, "max_budget": None, "soft_budget": None,
    "budget_duration": None, "budget_mode": "standard", "budget_time_zone": "UTC",
    "budget_start": None, "budget_reset_at": None, "budget_limits": [], "shared_budget_ids": [],
    "alert_thresholds": [80, 100], "tpm_limit": None, "rpm_limit": None,
    "max_parallel_requests": None, "registered": True, "created_by": "master",
}  # fmt: skip
EVERYTHING = {
    "description": "Engineering", "models": ["gpt-4", "gpt-4*"], "max_budget": 500.25,
    "soft_budget": 400, "budget_duration": "monthly", "budget_start": "2026-01-31",
    "budget_time_zone": "Europe/Berlin", "budget_mode": "strict", "alert_thresholds": [50, 90],
    "tpm_limit": 100_000, "rpm_limit": 60, "max_parallel_requests": 5, "blocked": True,
}  # fmt: skip


def ok(response):
    assert response.status_code == 200, response.content
    return response.json()


def error_of(response):
    body = response.json()
    assert body["detail"] == body["error"]["message"]
    assert body["error"]["code"] == str(response.status_code)
    return response.status_code, body["error"]["type"], body["error"]["param"]


def windows_of(name):
    return BudgetWindow.objects.filter(budget__tag__name=name).order_by("starts_at")


def spend(name, nanos, **more):
    windows_of(name).filter(is_open=True).update(spent=nanos, **more)


# -- new -----------------------------------------------------------------------------------------


def test_it_answers_every_member(management):
    answer = ok(management.post("/tag/new", {"name": "engineering"}))

    assert answer.keys() == {"message", "tag"} | TagObject().fields.keys()
    assert answer["message"] == "Tag engineering created successfully"
    assert {name: answer[name] for name in DEFAULTS} == DEFAULTS
    assert answer["tag"] == {k: v for k, v in answer.items() if k not in ("message", "tag")}
    assert answer["litellm_budget_table"]["budget_id"] == answer["budget_id"]
    assert answer["budget_started_at"] == answer["created_at"]


def test_it_keeps_everything_it_is_told(management):
    answer = ok(management.post("/tag/new", {"name": "engineering", **EVERYTHING}))

    expected = EVERYTHING | {"budget_start": "2026-01-30T23:00:00Z"}
    assert {name: answer[name] for name in expected} == expected
    assert answer["remaining"] == 500.25
    budget = Budget.objects.get()
    assert budget.limit == 500_250_000_000
    assert windows_of("engineering").get().mode == "strict"


def test_it_takes_null_for_every_default(management):
    nothing = dict.fromkeys(EVERYTHING) | {"budget_limits": None, "shared_budget_ids": None}

    answer = ok(management.post("/tag/new", {"name": "engineering", **nothing}))

    assert {name: answer[name] for name in DEFAULTS} == DEFAULTS


def test_it_takes_back_what_it_answered(management):
    make_pot(public_id="q4-pot")
    asked = {
        "name": "a", **EVERYTHING, "budget_limits": [{"budget_duration": "daily", "max_budget": 5}],
        "shared_budget_ids": ["q4-pot"],
    }  # fmt: skip
    answer = ok(management.post("/tag/new", asked))
    del answer["spend"]

    again = ok(management.post("/tag/update", answer))

    for told in (answer, again):
        del told["message"], told["tag"], told["updated_at"], told["litellm_budget_table"]
        told.pop("spend", None)
    assert again == answer


def test_it_has_every_name_once(management):
    make_tag("caf\u00e9")

    refused = management.post("/tag/new", {"name": " cafe\u0301 "})

    assert error_of(refused) == (409, "already_exists", "name")
    assert Tag.objects.count() == Budget.objects.count() == 1


BAD = [
    ("name", 5, "invalid_tag"),
    ("name", "", "invalid_tag"),
    ("name", "a,b", "invalid_tag"),
    ("name", "!a", "invalid_tag"),
    ("name", None, "invalid_parameter"),
    ("description", "x" * 1_001, "invalid_parameter"),
    ("description", "a\0b", "invalid_parameter"),
    ("description", 5, "invalid_parameter"),
    ("models", "gpt-4", "invalid_parameter"),
    ("max_budget", "500", "invalid_parameter"),
    ("max_budget", True, "invalid_parameter"),
    ("max_budget", -1, "invalid_parameter"),
    ("max_budget", 8_000_001, "invalid_parameter"),
    ("max_budget", 0.1234567891, "invalid_parameter"),
    ("soft_budget", {}, "invalid_parameter"),
    ("budget_duration", "", "invalid_parameter"),
    ("budget_duration", 30, "invalid_parameter"),
    ("budget_duration", "0d", "invalid_parameter"),
    ("budget_duration", "-1d", "invalid_parameter"),
    ("budget_duration", "1.5h", "invalid_parameter"),
    ("budget_duration", "2 d", "invalid_parameter"),
    ("budget_duration", " 2d", "invalid_parameter"),
    ("budget_duration", "10days", "invalid_parameter"),
    ("budget_duration", "1hr", "invalid_parameter"),
    ("budget_duration", "5mo", "invalid_parameter"),
    ("budget_duration", "1y", "invalid_parameter"),
    ("budget_duration", "Monthly", "invalid_parameter"),
    ("budget_duration", "9999999d", "invalid_parameter"),
    ("budget_start", "2026-01-31", "invalid_parameter"),
    ("budget_start", 5, "invalid_parameter"),
    ("budget_time_zone", "Mars/Olympus", "invalid_parameter"),
    ("budget_time_zone", "", "invalid_parameter"),
    ("budget_time_zone", "../etc/passwd", "invalid_parameter"),
    ("budget_mode", "Strict", "invalid_parameter"),
    ("budget_mode", [], "invalid_parameter"),
    ("budget_limits", {}, "invalid_parameter"),
    ("budget_limits", [{"budget_duration": f"{n}d"} for n in range(1, 10)], "invalid_parameter"),
    ("shared_budget_ids", "q4-pot", "invalid_parameter"),
    ("alert_thresholds", 80, "invalid_parameter"),
    ("alert_thresholds", list(range(1, 22)), "invalid_parameter"),
    ("tpm_limit", 0, "invalid_parameter"),
    ("tpm_limit", 2**63, None),
    ("rpm_limit", 1.0, "invalid_parameter"),
    ("rpm_limit", "60", "invalid_parameter"),
    ("max_parallel_requests", 2**31, "invalid_parameter"),
    ("blocked", "true", "invalid_parameter"),
    ("blocked", 1, "invalid_parameter"),
    ("spend", 0, "invalid_parameter"),
    ("spend", 12.5, "invalid_parameter"),
    ("budget_id", "another", "invalid_parameter"),
    ("budget_id", 5, "invalid_parameter"),
    ("model_max_budget", {"gpt-4": 1}, "unsupported_field"),
    ("team_id", "t", "unsupported_field"),
    ("max_bugdet", 5, "unknown_field"),
    ("tags", ["a"], "unknown_field"),
]


@pytest.mark.parametrize(("field", "value", "type_"), BAD)
def test_it_names_the_field_that_is_wrong(management, field, value, type_):
    response = management.post("/tag/new", {"name": "engineering", field: value})

    if type_ is None:  # a number that JSON clients cannot carry is refused with the body
        assert error_of(response) == (400, "invalid_json", None)
    else:
        assert error_of(response) == (400, type_, field)
    assert not Tag.objects.exists()
    assert not Budget.objects.exists()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"max_budget": 1, "soft_budget": 1.000000001}, "soft_budget"),
        ({"budget_duration": "hourly", "budget_start": "2026-01-01"}, "budget_start"),
        ({"budget_duration": "daily", "budget_start": "1969-12-31"}, "budget_start"),
        ({"budget_duration": "daily", "budget_start": "2200-01-01"}, "budget_start"),
        ({"budget_duration": "daily", "budget_start": "2026-02-30"}, "budget_start"),
        ({"budget_duration": "daily", "budget_start": "2026-01-01T00:00:00"}, "budget_start"),
        ({"budget_duration": "daily", "budget_start": "2026-W01"}, "budget_start"),
        ({"alert_thresholds": [80, 101]}, "alert_thresholds[1]"),
        ({"alert_thresholds": [80, True]}, "alert_thresholds[1]"),
        ({"models": ["gpt-4", None]}, "models[1]"),
        ({"models": [5]}, "models[0]"),
        ({"models": [""]}, "models[0]"),
        ({"models": ["x" * 256]}, "models[0]"),
        ({"budget_limits": [5]}, "budget_limits[0]"),
        ({"budget_limits": [{}, None]}, "budget_limits[1]"),
        ({"budget_limits": [{"max_budget": 1}, {"max_budget": -1}]}, "budget_limits[1].max_budget"),
        ({"budget_limits": [{"budget_duration": "2y"}]}, "budget_limits[0].budget_duration"),
        ({"budget_limits": [{"max_budget": 1, "soft_budget": 2}]}, "budget_limits[0].soft_budget"),
        ({"budget_limits": [{}, {"max_budget": 1}]}, "budget_limits[1].budget_duration"),
        (
            {"budget_limits": [{"budget_duration": "1mo"}, {"budget_duration": "monthly"}]},
            "budget_limits[1].budget_duration",
        ),
        ({"shared_budget_ids": ["q4-pot"]}, "shared_budget_ids[0]"),
        ({"shared_budget_ids": [5]}, "shared_budget_ids[0]"),
    ],
)
def test_it_names_the_place_that_is_wrong(management, body, param):
    name = {} if param == "name" else {"name": "engineering"}

    response = management.post("/tag/new", name | body)

    assert error_of(response) == (400, "invalid_parameter", param)
    assert not Tag.objects.exists()
    assert not Budget.objects.filter(is_pot=False).exists()


@pytest.mark.parametrize("nothing", [None, "", [], {}, False])
def test_it_takes_foreign_fields_that_say_nothing(management, nothing):
    body = {"name": "a", "model_max_budget": nothing, "guardrails": nothing, "team_id": nothing}

    assert management.post("/tag/new", body).status_code == 200


def test_it_hints_at_shared_budgets(management):
    response = management.post("/tag/new", {"name": "a", "budget_id": "q4-pot"})

    assert "use shared_budget_ids" in response.json()["detail"]


def test_it_has_zero_and_unlimited_apart(management):
    zero = ok(management.post("/tag/new", {"name": "zero", "max_budget": 0}))
    unlimited = ok(management.post("/tag/new", {"name": "unlimited", "max_budget": None}))

    assert (zero["max_budget"], zero["remaining"]) == (0.0, 0.0)
    assert (unlimited["max_budget"], unlimited["remaining"]) == (None, None)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)
members = st.sampled_from([*TagObject().fields, "x"])


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.dictionaries(members, json_values, min_size=1, max_size=4))
def test_it_answers_any_body_without_failing(body):
    response = client_of(settings.MASTER_KEY).post("/tag/new", {"name": "a", **body})

    assert response.status_code in (200, 400, 409)
    Tag.objects.all().delete()


# -- further budgets and pots --------------------------------------------------------------------


def further(answer):
    return [
        (b["budget_duration"], b["max_budget"], b["budget_id"]) for b in answer["budget_limits"]
    ]


def test_it_replaces_further_budgets_and_keeps_equal_durations(management):
    daily, weekly = {"budget_duration": "daily", "max_budget": 5}, {"budget_duration": "weekly"}
    answer = ok(management.post("/tag/new", {"name": "a", "budget_limits": [daily, weekly]}))
    (_, _, daily_id), (_, _, weekly_id) = further(answer)
    BudgetWindow.objects.filter(budget__public_id=daily_id).update(spent=3_000_000_000)

    wanted = [{"budget_duration": "1h", "max_budget": 1}, {"budget_duration": "daily"}]
    answer = ok(management.post("/tag/update", {"name": "a", "budget_limits": wanted}))

    assert [b[:2] for b in further(answer)] == [("1h", 1.0), ("daily", None)]
    kept = answer["budget_limits"][1]
    assert (kept["budget_id"], kept["spend"], kept["budget_mode"]) == (daily_id, 3.0, "standard")
    gone = Budget.objects.get(public_id=weekly_id)
    assert not gone.windows.filter(is_open=True).exists()
    assert gone.windows.count() == 1


def test_it_gives_a_further_budget_all_of_its_terms(management):
    terms = {
        "budget_duration": "daily", "max_budget": 25.0, "soft_budget": 20.0,
        "budget_mode": "strict", "budget_time_zone": "Asia/Tokyo", "alert_thresholds": [90],
        "budget_start": "2026-01-01T09:00:00+09:00",
    }  # fmt: skip

    answer = ok(management.post("/tag/new", {"name": "a", "budget_limits": [terms]}))

    (told,) = answer["budget_limits"]
    assert {k: told[k] for k in terms} == terms | {"budget_start": "2026-01-01T00:00:00Z"}
    assert told.keys() >= {"budget_id", "spend", "reserved", "reset_at"}
    assert told["reset_at"].endswith("T00:00:00Z")  # nine in the morning in Tokyo


def test_it_draws_on_pots_in_the_order_asked(management):
    for name in ("one", "two", "three"):
        make_pot(public_id=name)
    ok(management.post("/tag/new", {"name": "a", "shared_budget_ids": ["one", "two"]}))

    answer = ok(
        management.post(
            "/tag/update", {"name": "a", "shared_budget_ids": ["three", "one", "three"]}
        )
    )

    assert answer["shared_budget_ids"] == ["three", "one"]
    left = ok(management.post("/tag/update", {"name": "a", "shared_budget_ids": None}))
    assert left["shared_budget_ids"] == []


def test_it_takes_only_pots_for_pots(management):
    own = ok(management.post("/tag/new", {"name": "a"}))["budget_id"]

    response = management.post("/tag/update", {"name": "a", "shared_budget_ids": [own]})

    assert error_of(response) == (400, "invalid_parameter", "shared_budget_ids[0]")


# -- update --------------------------------------------------------------------------------------


def test_it_changes_only_what_is_there(management):
    before = ok(management.post("/tag/new", {"name": "a", **EVERYTHING}))["tag"]

    after = ok(management.post("/tag/update", {"name": "a", "rpm_limit": 7}))

    assert after["message"] == "Tag a updated successfully"
    changed = {k for k in before if before[k] != after[k]} - {"updated_at", "litellm_budget_table"}
    assert changed == {"rpm_limit"}


def test_it_clears_what_is_null(management):
    ok(management.post("/tag/new", {"name": "a", **EVERYTHING}))

    after = ok(management.post("/tag/update", {"name": "a", **dict.fromkeys(EVERYTHING)}))

    assert {name: after[name] for name in DEFAULTS} == DEFAULTS


def test_it_changes_nothing_when_nothing_is_said(management):
    make_tag("a", limit="5", duration="30d")
    before = Tag.objects.get().updated_at

    for body in ({}, {"max_budget": 5, "budget_duration": "30d"}, {"models": []}):
        ok(management.post("/tag/update", {"name": "a", **body}))

    assert Tag.objects.get().updated_at == before
    assert windows_of("a").count() == 1
    assert Audit.objects.filter(action="change").count() == 0


def test_it_changes_the_limit_of_the_open_window_at_once(management):
    make_tag("a", limit="5", duration="30d", mode="strict")
    spend("a", 3_000_000_000)

    after = ok(management.post("/tag/update", {"name": "a", "max_budget": 2}))

    assert (after["spend"], after["remaining"], after["max_budget"]) == (3.0, 0.0, 2.0)
    window = windows_of("a").get()
    assert (window.limit, window.spent) == (2_000_000_000, 3_000_000_000)


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        ({"budget_duration": "1h"}, timedelta(hours=1)),
        ({"budget_duration": None}, None),
        ({"budget_duration": "2h", "budget_start": "2026-01-01T00:30:00Z"}, "tiles"),
    ],
)
def test_it_opens_a_new_window_when_the_schedule_changes(management, change, ends):
    make_tag("a", limit="5", duration="30d")
    spend("a", 3_000_000_000)

    after = ok(management.post("/tag/update", {"name": "a", **change}))

    old, new = windows_of("a")
    assert (after["spend"], after["total_spend"]) == (0.0, 3.0)
    assert (old.spent, old.is_open, new.spent, new.is_open) == (3_000_000_000, False, 0, True)
    assert old.ends_at == new.starts_at
    if ends is None:
        assert new.ends_at is None
    elif ends == "tiles":
        assert (new.ends_at.minute, new.ends_at.hour % 2, new.ends_at.second) == (30, 0, 0)
    else:
        assert timedelta(0) <= ends - (new.ends_at - new.starts_at) < timedelta(seconds=1)


def test_it_keeps_the_window_when_the_zone_is_the_same_again(management):
    make_tag("a", duration="daily", time_zone="Asia/Tokyo")

    ok(management.post("/tag/update", {"name": "a", "budget_time_zone": "Asia/Tokyo"}))
    assert windows_of("a").count() == 1
    ok(management.post("/tag/update", {"name": "a", "budget_time_zone": "Europe/Berlin"}))
    assert windows_of("a").count() == 2


def test_it_judges_a_change_by_what_is_stored(management):
    make_tag("a", limit="5", soft_limit="4", duration="hourly")

    for body, param in (
        ({"max_budget": 3}, "soft_budget"),
        ({"soft_budget": 6}, "soft_budget"),
        ({"budget_start": "2026-01-01"}, "budget_start"),
    ):
        refused = management.post("/tag/update", {"name": "a", **body})
        assert error_of(refused) == (400, "invalid_parameter", param)
    ok(management.post("/tag/update", {"name": "a", "max_budget": 3, "soft_budget": None}))


def test_it_forgets_the_start_with_the_duration(management):
    make_tag("a", duration="weekly", start=datetime.fromisoformat("2026-11-01T00:00:00Z"))

    after = ok(management.post("/tag/update", {"name": "a", "budget_duration": None}))

    assert (after["budget_duration"], after["budget_start"]) == (None, None)


@pytest.mark.parametrize("path", ["update", "delete", "reset_spend"])
def test_it_knows_which_tags_there_are(management, path):
    assert error_of(management.post(f"/tag/{path}", {"name": "b"})) == (404, "not_found", "name")
    assert error_of(management.post(f"/tag/{path}", {"name": "a,b"})) == (
        400,
        "invalid_tag",
        "name",
    )
    assert error_of(management.post(f"/tag/{path}", {})) == (400, "invalid_parameter", "name")


# -- delete, reset, adopt ------------------------------------------------------------------------


def test_it_keeps_the_windows_of_a_deleted_tag(management):
    pot = make_pot(public_id="q4-pot")
    tag = make_tag("a", limit="5", duration="30d", further=[{"duration": "daily"}], pots=[pot])
    spend("a", 3_000_000_000)
    own = tag.budget

    ok(management.post("/tag/delete", {"name": "a"}))

    window = own.windows.get()
    assert (window.spent, window.is_open) == (3_000_000_000, False)
    assert window.ends_at <= database_now()
    assert BudgetWindow.objects.filter(is_open=True).get().budget == pot
    again = ok(management.post("/tag/new", {"name": "a"}))
    assert (again["spend"], again["total_spend"]) == (0.0, 0.0)
    assert again["budget_id"] != own.public_id


def test_it_resets_the_open_window_and_keeps_its_end(management):
    make_tag("a", limit="5", duration="30d")
    spend("a", 3_000_000_000)
    before = windows_of("a").get()

    after = ok(management.post("/tag/reset_spend", {"name": "a", "reason": "billing error"}))

    old, new = windows_of("a")
    assert "message" not in after
    assert (after["spend"], after["remaining"], after["total_spend"]) == (0.0, 5.0, 3.0)
    assert (new.ends_at, old.ends_at) == (before.ends_at, new.starts_at)
    audit = Audit.objects.get(action="reset_spend")
    assert (audit.actor, audit.name, audit.reason) == ("master", "a", "billing error")


def test_it_resets_one_of_the_further_budgets(management):
    tag = make_tag("a", further=[{"duration": "daily"}])
    further_budget = tag.draws.get().budget
    further_budget.windows.update(spent=2)
    spend("a", 1)

    body = {"name": "a", "budget_id": further_budget.public_id, "reset_to": 0}
    after = ok(management.post("/tag/reset_spend", body))

    assert after["spend"] == 1e-9
    assert after["budget_limits"][0]["spend"] == 0.0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"reset_to": 5}, (400, "invalid_parameter", "reset_to")),
        ({"reset_to": "0"}, (400, "invalid_parameter", "reset_to")),
        ({"reason": 5}, (400, "invalid_parameter", "reason")),
        ({"budget_id": "q4-pot"}, (404, "not_found", "budget_id")),
        ({"spend": 0}, (400, "unknown_field", "spend")),
    ],
)
def test_it_refuses_other_resets(management, body, error):
    make_tag("a", pots=[make_pot(public_id="q4-pot")])

    assert error_of(management.post("/tag/reset_spend", {"name": "a", **body})) == error


def seen(*names):
    TagSet.objects.create(digest=repr(names).encode()[:32], tags=list(names))


def test_it_adopts_what_calls_have_carried(management):
    seen("eu", "batch")

    body = {"names": ["batch", "eu", "eu"], "max_budget": 5, "description": "adopted"}
    adopted = ok(management.post("/tag/adopt", body))["adopted"]

    assert [(tag["name"], tag["max_budget"], tag["description"]) for tag in adopted] == [
        ("batch", 5.0, "adopted"), ("eu", 5.0, "adopted"),
    ]  # fmt: skip
    assert adopted[0]["budget_id"] != adopted[1]["budget_id"]
    assert Audit.objects.filter(action="adopt").count() == 2


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (["eu", "never"], (404, "not_found", "names")),
        (["eu", "a"], (409, "already_exists", "names")),
        ([], (400, "invalid_parameter", "names")),
        ("eu", (400, "invalid_parameter", "names")),
        (["eu", "!x"], (400, "invalid_tag", "names[1]")),
    ],
)
def test_it_adopts_all_or_none(management, names, error):
    seen("eu", "a")
    make_tag("a")

    assert error_of(management.post("/tag/adopt", {"names": names})) == error
    assert list(Tag.objects.values_list("name", flat=True)) == ["a"]


def test_it_tells_the_audit_who_did_what(management):
    ok(management.post("/tag/new", {"name": "a", "max_budget": 5}))
    ok(management.post("/tag/update", {"name": "a", "max_budget": 6, "blocked": True}))
    ok(management.post("/tag/delete", {"name": "a"}))

    made, changed, deleted = Audit.objects.filter(kind="tag", name="a").order_by("id")
    assert [entry.action for entry in (made, changed, deleted)] == ["create", "change", "delete"]
    assert {entry.actor for entry in (made, changed, deleted)} == {"master"}
    assert made.after["budget"]["limit"] == changed.before["budget"]["limit"] == "5.0"
    assert changed.after["budget"]["limit"] == deleted.before["budget"]["limit"] == "6.0"
    assert (changed.before["blocked"], changed.after["blocked"]) == (False, True)
    assert deleted.after is None
