"""/key/*: making, reading, changing, blocking, regenerating and deleting virtual keys."""

from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.utils.timezone import now
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proxy.credentials import digest_of, new_secret
from proxy.key_cards import load_key_card
from proxy.key_serializers import KeyObject
from proxy.models import APIKey
from spend.models import Audit, Budget, BudgetWindow
from tests.conftest import client_of
from tests.factories import make_key, make_pot, make_tag
from tests.tags.test_tag_writing import error_of, json_values, ok

pytestmark = pytest.mark.django_db

NOBODY = "01a2027b-d680-7c55-9a3d-0f6e2d4b8c91"
DEFAULTS = {
    "key_alias": None, "status": "active", "expires": None, "user_id": None, "models": [],
    "metadata": {}, "allowed_tags": None, "required_tags": [], "blocked": False, "spend": 0.0,
    "reserved": 0.0, "remaining": None, "total_spend": 0.0, "max_budget": None,
    "soft_budget": None, "budget_duration": None, "budget_mode": "standard",
    "budget_reset_at": None, "budget_limits": [], "shared_budget_ids": [], "tpm_limit": None,
    "rpm_limit": None, "max_parallel_requests": None, "created_by": "master",
}  # fmt: skip
EVERYTHING = {
    "key_alias": "svc-a", "models": ["gpt-4o"], "max_budget": 25.0, "soft_budget": 20.0,
    "budget_duration": "30d", "budget_mode": "strict", "metadata": {"tags": ["a"], "n": 1.5},
    "allowed_tags": ["customer-*"], "required_tags": ["team-?"], "tpm_limit": 5, "rpm_limit": 6,
    "max_parallel_requests": 7, "blocked": True, "alert_thresholds": [50],
}  # fmt: skip


def generate(management, **body):
    return ok(management.post("/key/generate", body))


def info(client, key=None):
    return ok(client.get("/key/info" if key is None else f"/key/info?key={key}"))


# -- generate ------------------------------------------------------------------------------------


def test_it_answers_every_member(management):
    answer = generate(management)

    assert answer.keys() >= DEFAULTS.keys() | {"key", "key_name", "key_id", "token", "token_id"}
    assert {name: answer[name] for name in DEFAULTS} == DEFAULTS
    secret = answer["key"]
    assert answer["key_name"] == f"sk-...{secret[-4:]}"
    assert answer["token"] == answer["token_id"] == digest_of(secret)
    assert str(APIKey.objects.get().id) == answer["key_id"]
    assert answer["litellm_budget_table"]["max_budget"] is None


def test_it_stores_no_secret(management):
    secret = generate(management, key_alias="svc-a")["key"]

    stored = repr(APIKey.objects.values().get()) + repr(Audit.objects.values().get())
    assert secret not in stored
    assert secret[3:] not in stored


def test_it_keeps_everything_it_is_told(management):
    answer = generate(management, **EVERYTHING)

    assert {name: answer[name] for name in EVERYTHING} == EVERYTHING
    assert answer["status"] == "blocked"
    assert APIKey.objects.get().budget.limit == 25_000_000_000


def test_it_shows_no_secret_again(management):
    answer = generate(management, key_alias="svc-a")

    for path in (f"/key/info?key={answer['key_id']}", "/key/list?return_full_object=true"):
        assert answer["key"] not in management.get(path).content.decode()
    changed = ok(management.post("/key/update", {"key": answer["token"], "rpm_limit": 5}))
    assert "key" not in changed


def test_it_lives_as_long_as_it_is_told(management):
    answer = generate(management, duration="90d")

    life = datetime.fromisoformat(answer["expires"]) - now()
    assert timedelta(days=90, seconds=-5) < life <= timedelta(days=90)
    forever = ok(management.post("/key/update", {"key": answer["token"], "duration": None}))
    assert forever["expires"] is None


def test_it_joins_tags_and_keeps_a_label(management):
    answer = generate(
        management, tags=["b", " a", "c"], metadata={"tags": ["a", "a"], "x": 1}, user_id="ann"
    )

    assert answer["metadata"] == {"tags": ["a", "b", "c"], "x": 1, "user_id": "ann"}
    assert answer["user_id"] == "ann"
    answer = ok(management.post("/key/update", {"key": answer["token"], "tags": ["d"]}))
    assert answer["metadata"]["tags"] == ["a", "b", "c", "d"]
    answer = ok(management.post("/key/update", {"key": answer["token"], "user_id": None}))
    assert answer["metadata"] == {"tags": ["a", "b", "c", "d"], "x": 1}
    answer = ok(management.post("/key/update", {"key": answer["token"], "metadata": None}))
    assert answer["metadata"] == {}


def test_it_takes_a_key_that_is_brought(management):
    brought = "sk-from-another-gateway-1234"

    answer = generate(management, key=brought)

    assert (answer["key"], answer["key_name"]) == (brought, "sk-...1234")
    assert client_of(brought).get("/key/info").status_code == 200
    assert Audit.objects.get().after["brought"] is True
    taken = management.post("/key/generate", {"key": brought})
    assert error_of(taken) == (409, "already_exists", "key")
    assert brought not in taken.content.decode()


def test_it_takes_no_secret_twice(management):
    key = make_key()
    ok(management.post("/key/regenerate", {"key": key.secret, "grace_period": "1h"}))
    deleted = make_key(columns={"deleted_at": now()})

    for secret in (key.secret, deleted.secret, settings.MASTER_KEY):
        taken = management.post("/key/generate", {"key": secret})
        assert error_of(taken) == (409, "already_exists", "key")


def test_it_has_each_alias_once(management):
    generate(management, key_alias="svc-a")
    taken = management.post("/key/generate", {"key_alias": "svc-a"})
    assert error_of(taken) == (409, "already_exists", "key_alias")
    other = generate(management, key_alias="svc-b")["token"]
    taken = management.post("/key/update", {"key": other, "key_alias": "svc-a", "max_budget": 5})
    assert error_of(taken) == (409, "already_exists", "key_alias")
    assert APIKey.objects.get(alias="svc-b").budget.limit is None
    assert Budget.objects.count() == 2

    ok(management.post("/key/delete", {"key_aliases": ["svc-a"]}))

    generate(management, key_alias="svc-a")


@pytest.mark.parametrize(
    ("field", "value", "type_", "param"),
    [
        ("key_alias", "", "invalid_parameter", "key_alias"),
        ("key_alias", "a" * 129, "invalid_parameter", "key_alias"),
        ("key_alias", "a\nb", "invalid_parameter", "key_alias"),
        ("key_alias", "master", "invalid_parameter", "key_alias"),
        ("key_alias", 5, "invalid_parameter", "key_alias"),
        ("duration", "monthly", "invalid_parameter", "duration"),
        ("duration", "-1", "invalid_parameter", "duration"),
        ("duration", "", "invalid_parameter", "duration"),
        ("duration", 30, "invalid_parameter", "duration"),
        ("key", "sk-short", "invalid_parameter", "key"),
        ("key", "no-prefix-but-long-enough", "invalid_parameter", "key"),
        ("key", "sk-" + "a" * 198, "invalid_parameter", "key"),
        ("key", "sk-with a space in between", "invalid_parameter", "key"),
        ("key", "sk-\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
                "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", "invalid_parameter", "key"),
        ("metadata", "x", "invalid_parameter", "metadata"),
        ("metadata", [], "invalid_parameter", "metadata"),
        ("metadata", {"x": "a" * 16_384}, "invalid_parameter", "metadata"),
        ("metadata", {"x": "a\0"}, "invalid_parameter", "metadata"),
        ("metadata", {"tags": ["a", "b,c"]}, "invalid_tag", "metadata.tags[1]"),
        ("metadata", {"tags": ["a", 5]}, "invalid_tag", "metadata.tags[1]"),
        ("metadata", {"tags": 5}, "invalid_tag", "metadata.tags"),
        ("metadata", {"tags": {"a": 1}}, "invalid_tag", "metadata.tags"),
        ("metadata", {"tags": [f"t{n}" for n in range(21)]}, "too_many_tags", "metadata.tags"),
        ("tags", ["!a"], "invalid_tag", "tags[0]"),
        ("tags", "a", "invalid_parameter", "tags"),
        ("allowed_tags", "a", "invalid_parameter", "allowed_tags"),
        ("allowed_tags", [5], "invalid_tag", "allowed_tags[0]"),
        ("required_tags", ["a,b"], "invalid_tag", "required_tags[0]"),
        ("user_id", 5, "invalid_parameter", "user_id"),
        ("max_budget", "25", "invalid_parameter", "max_budget"),
        ("spend", 5, "invalid_parameter", "spend"),
        ("spend", False, "invalid_parameter", "spend"),
        ("budget_id", "q4-pot", "invalid_parameter", "budget_id"),
        ("key_type", "management", "unsupported_field", "key_type"),
        ("team_id", "t", "unsupported_field", "team_id"),
        ("auto_rotate", True, "unsupported_field", "auto_rotate"),
        ("tpd_limit", 0, "unsupported_field", "tpd_limit"),
        ("permissions", {"a": 1}, "unsupported_field", "permissions"),
        ("send_invite_email", "yes", "invalid_parameter", "send_invite_email"),
        ("digest", "x", "unknown_field", "digest"),
    ],
)  # fmt: skip
def test_it_names_the_field_that_is_wrong(management, field, value, type_, param):
    response = management.post("/key/generate", {field: value})

    assert error_of(response) == (400, type_, param)
    assert not APIKey.objects.exists()


def test_it_takes_what_means_nothing_here(management):
    generate(
        management, spend=0, key_type="llm_api", send_invite_email=True, team_id=None, aliases={},
        config={}, permissions={}, allowed_routes=[], guardrails=[], auto_rotate=False, key=None,
        model_max_budget={}, metadata={"tags": None}, key_alias=None, tags=None,
    )  # fmt: skip

    assert load_key_card(APIKey.objects.get().digest).default_tags == ()


members = st.sampled_from([*KeyObject().fields, "team_id", "x"])


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.dictionaries(members, json_values, min_size=1, max_size=4))
def test_it_answers_any_body_without_failing(body):
    response = client_of(settings.MASTER_KEY).post("/key/generate", body)

    assert response.status_code in (200, 400, 409)


# -- info ----------------------------------------------------------------------------------------


def test_it_finds_a_key_by_whatever_names_it(management):
    answer = generate(management, key_alias="svc-a")

    for name in (answer["key"], answer["token"], answer["key_id"]):
        found = info(management, name)
        assert found["key"] == name
        assert found["info"]["key_alias"] == "svc-a"
        assert "budgets" not in found["info"]


@pytest.mark.parametrize("name", ["sk-unknown", "0" * 64, NOBODY, "svc-a", "x" * 512])
def test_it_knows_which_keys_there_are(management, name):
    make_key("svc-a")

    assert error_of(management.get(f"/key/info?key={name}")) == (404, "not_found", "key")
    for path in ("update", "block", "unblock", "regenerate"):
        response = management.post(f"/key/{path}", {"key": name})
        assert error_of(response) == (404, "not_found", "key")
        assert name not in response.content.decode()
    for path in ("regenerate", "reset_spend"):
        assert error_of(management.post(f"/key/{name}/{path}", {})) == (404, "not_found", "key")


def test_it_reads_itself_and_nobody_else(management):
    make_tag("team-x", limit="5", duration="30d", pots=[make_pot(public_id="q4", limit="100")])
    mine = generate(
        management, key_alias="mine", max_budget=25, budget_limits=[{"budget_duration": "daily"}],
        shared_budget_ids=["q4"], tags=["team-x", "unknown"],
    )  # fmt: skip
    other = make_key()
    BudgetWindow.objects.filter(budget__tag__name="team-x").update(spent=2_000_000_000)
    client = client_of(mine["key"])

    found = info(client)

    assert found["key"] == mine["token"]
    budgets = [(b["tag"], b["key_alias"], b["limit"]) for b in found["info"]["budgets"]]
    assert budgets == [
        ("team-x", None, 5.0), ("team-x", None, 100.0), (None, "mine", 25.0), (None, "mine", None),
    ]  # fmt: skip
    first = found["info"]["budgets"][0]
    assert (first["spent"], first["remaining"], first["requested"]) == (2.0, 3.0, 0.0)
    assert info(client, mine["key"])["info"]["key_alias"] == "mine"
    for name in (other.secret, other.digest, other.id):
        assert error_of(client.get(f"/key/info?key={name}")) == (404, "not_found", "key")


def test_it_has_no_row_for_the_master_key(management):
    assert error_of(management.get("/key/info")) == (404, "not_found", "key")
    named = management.get(f"/key/info?key={settings.MASTER_KEY}")
    assert error_of(named) == (404, "not_found", "key")
    unknown = management.get("/key/info?token=x")
    assert error_of(unknown) == (400, "unknown_field", "token")


# -- update --------------------------------------------------------------------------------------


def test_it_changes_only_what_is_there(management):
    key = generate(management, **EVERYTHING)

    after = ok(management.post("/key/update", {"key": key["key_id"], "rpm_limit": 9}))

    changed = {k for k in after if after[k] != key[k]} - {"updated_at", "litellm_budget_table"}
    assert changed == {"rpm_limit"}
    assert after["rpm_limit"] == 9


def test_it_clears_what_is_null(management):
    key = generate(management, **EVERYTHING)

    after = ok(management.post("/key/update", {"key": key["token"], **dict.fromkeys(EVERYTHING)}))

    assert {name: after[name] for name in DEFAULTS} == DEFAULTS


def test_it_takes_back_what_it_answered(management):
    answer = generate(management, **EVERYTHING)
    del answer["spend"]

    again = ok(management.post("/key/update", answer))

    for told in (answer, again):
        for name in ("key", "spend", "updated_at", "litellm_budget_table"):
            told.pop(name, None)
    assert again == answer


def test_it_opens_a_new_window_when_the_schedule_changes(management):
    key = make_key(limit="5", duration="30d")
    BudgetWindow.objects.update(spent=3_000_000_000)

    after = ok(management.post("/key/update", {"key": key.digest, "budget_duration": "7d"}))

    assert (after["spend"], after["total_spend"]) == (0.0, 3.0)


def test_it_lets_nobody_set_what_is_counted(management):
    key = make_key()

    for body, type_, param in (
        ({"spend": 0}, "invalid_parameter", "spend"),
        ({"previous_digest": "x"}, "unknown_field", "previous_digest"),
        ({"deleted_at": None}, "unknown_field", "deleted_at"),
        ({}, None, None),
    ):
        response = management.post("/key/update", {"key": key.digest, **body})
        if type_:
            assert error_of(response) == (400, type_, param)
        else:
            ok(response)
    assert error_of(management.post("/key/update", {})) == (400, "invalid_parameter", "key")
    assert error_of(management.post("/key/update", {"key": 5})) == (400, "invalid_parameter", "key")


# -- block, regenerate, reset, delete ------------------------------------------------------------


def test_it_blocks_and_lets_call_again(management):
    key = make_key()

    blocked = ok(management.post("/key/block", {"key": key.secret}))
    assert (blocked["status"], blocked["blocked"]) == ("blocked", True)
    assert load_key_card(key.digest).blocked
    free = ok(management.post("/key/unblock", {"key": key.secret}))

    assert (free["status"], free["blocked"]) == ("active", False)
    actions = Audit.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["block", "unblock"]


@pytest.mark.parametrize("in_path", [True, False])
def test_it_gives_another_secret(management, in_path):
    key = make_key(limit="5")
    BudgetWindow.objects.update(spent=3_000_000_000)

    if in_path:
        answer = ok(management.post(f"/key/{key.id}/regenerate", {}))
    else:
        answer = ok(management.post("/key/regenerate", {"key": key.secret}))

    assert answer["key"] != key.secret
    assert answer["token"] == digest_of(answer["key"])
    assert (answer["key_id"], answer["spend"]) == (str(key.id), 3.0)
    assert client_of(answer["key"]).get("/key/info").status_code == 200
    assert client_of(key.secret).get("/key/info").status_code == 401


def test_it_lets_the_old_secret_work_on(management):
    key = make_key()
    brought = "sk-brought-along-for-this"

    body = {"key": key.digest, "new_key": brought, "grace_period": "1h"}
    answer = ok(management.post("/key/regenerate", body))

    assert answer["key"] == brought
    card = load_key_card(key.digest)
    assert card.digest == digest_of(brought)
    assert timedelta(minutes=59) < card.expires_at - now() <= timedelta(hours=1)
    assert load_key_card(digest_of(brought)).expires_at is None
    assert info(client_of(key.secret))["info"]["token"] == answer["token"]

    APIKey.objects.update(previous_until=now())
    assert load_key_card(key.digest) is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"new_key": "sk-short"}, (400, "invalid_parameter", "new_key")),
        ({"grace_period": "soon"}, (400, "invalid_parameter", "grace_period")),
        ({"new_master_key": "sk-x"}, (400, "unsupported_field", "new_master_key")),
        ({"max_budget": 5}, (400, "unknown_field", "max_budget")),
    ],
)
def test_it_refuses_other_regenerations(management, body, error):
    key = make_key()

    assert error_of(management.post(f"/key/{key.id}/regenerate", body)) == error
    taken = management.post(f"/key/{key.id}/regenerate", {"new_key": make_key().secret})
    assert error_of(taken) == (409, "already_exists", "new_key")
    assert load_key_card(key.digest) is not None


def test_it_resets_the_open_window(management):
    key = make_key(limit="5", duration="30d")
    BudgetWindow.objects.update(spent=3_000_000_000)

    after = ok(management.post(f"/key/{key.digest}/reset_spend", {"reset_to": 0, "reason": "x"}))

    assert (after["spend"], after["total_spend"]) == (0.0, 3.0)
    assert Audit.objects.get(action="reset_spend").reason == "x"
    refused = management.post(f"/key/{key.digest}/reset_spend", {"reset_to": 1})
    assert error_of(refused) == (400, "invalid_parameter", "reset_to")


def test_it_deletes_keys_and_keeps_their_rows(management):
    pot = make_pot(public_id="q4")
    made = generate(management, key_alias="a", shared_budget_ids=["q4"])
    other = make_key("b")

    answer = ok(management.post("/key/delete", {"keys": [made["key"], str(other.id)]}))

    assert answer == {"deleted_keys": [made["key"], str(other.id)]}
    assert client_of(made["key"]).get("/key/info").status_code == 401
    assert APIKey.objects.count() == 2
    assert load_key_card(made["token"]) is None
    assert set(BudgetWindow.objects.open().values_list("budget", flat=True)) == {pot.pk}
    gone = management.get(f"/key/info?key={made['token']}")
    assert error_of(gone) == (404, "not_found", "key")
    ok(management.post("/budget/delete", {"id": "q4"}))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"keys": ["a-key", "sk-unknown"]}, (404, "not_found", "key")),
        ({"key_aliases": ["a", "b"]}, (404, "not_found", "key_aliases")),
        ({"keys": [], "key_aliases": []}, (400, "invalid_parameter", "keys")),
        ({}, (400, "invalid_parameter", "keys")),
        ({"keys": ["x"], "key_aliases": ["a"]}, (400, "invalid_parameter", "keys")),
        ({"keys": "x"}, (400, "invalid_parameter", "keys")),
        ({"keys": [5]}, (400, "invalid_parameter", "keys[0]")),
    ],
)
def test_it_deletes_all_or_none(management, body, error):
    make_key("a")

    assert error_of(management.post("/key/delete", body)) == error
    assert APIKey.objects.present().count() == 1


# -- list ----------------------------------------------------------------------------------------


def test_it_pages_through_keys(management):
    keys = [make_key(f"k{n}") for n in range(12)]

    first = ok(management.get("/key/list"))
    last = ok(management.get("/key/list?page=2&size=5&sort_order=asc"))

    assert (first["total_count"], first["current_page"], first["total_pages"]) == (12, 1, 2)
    assert first["keys"] == [key.digest for key in reversed(keys)][:10]
    assert (last["total_pages"], last["keys"]) == (3, [key.digest for key in keys[5:10]])
    beyond = ok(management.get("/key/list?page=9"))
    assert (beyond["keys"], beyond["total_count"]) == ([], 12)


def test_it_finds_keys(management):
    active = make_key("svc-a")
    blocked = make_key("svc-b", columns={"blocked": True})
    expired = make_key("lab", columns={"expires_at": now()})
    make_key("gone", columns={"deleted_at": now()})

    def found(query):
        return set(ok(management.get(f"/key/list?{query}"))["keys"])

    assert found("key_alias=svc-a") == {active.digest}
    assert found(f"key_hash={blocked.digest}") == {blocked.digest}
    assert found("search=SVC") == {active.digest, blocked.digest}
    assert found(f"search=sk-...{expired.ending}") == {expired.digest}
    assert found("status=active") == {active.digest}
    assert found("status=blocked") == {blocked.digest}
    assert found("status=expired") == {expired.digest}
    assert found("user_id=&include_team_keys=false") == {
        k.digest for k in (active, blocked, expired)
    }
    (whole,) = ok(management.get("/key/list?key_alias=lab&return_full_object=true"))["keys"]
    assert (whole["status"], whole["key_id"]) == ("expired", str(expired.id))


@pytest.mark.parametrize(
    ("query", "type_", "param"),
    [
        ("page=0", "invalid_parameter", "page"),
        ("size=101", "invalid_parameter", "size"),
        ("size=x", "invalid_parameter", "size"),
        ("status=new", "invalid_parameter", "status"),
        ("sort_order=up", "invalid_parameter", "sort_order"),
        ("return_full_object=maybe", "invalid_parameter", "return_full_object"),
        ("team_id=t", "unsupported_field", "team_id"),
        ("include_team_keys=true", "unsupported_field", "include_team_keys"),
        ("sise=5", "unknown_field", "sise"),
    ],
)
def test_it_refuses_other_questions(management, query, type_, param):
    assert error_of(management.get(f"/key/list?{query}")) == (400, type_, param)


def test_it_never_makes_the_same_secret_twice():
    assert len({new_secret() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("number", ["1e300", "1e19", "-1e300"])
def test_a_number_that_could_not_be_told_again_is_refused(management, number):
    body = f'{{"metadata": {{"a": [{number}]}}}}'

    answer = management.post("/key/generate", body.encode(), content_type="application/json")

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_json")
