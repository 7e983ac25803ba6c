"""Keys, upstreams and models in the admin: secrets go in, and never come out."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.utils import timezone

from proxy.actions import create_key
from proxy.credentials import digest_of
from proxy.models import APIKey, Deployment, Upstream
from proxy.vault import open_secret
from spend.models import Audit, BudgetWindow, JobRun, Price
from tags.changes import Changes
from tests.admin_clients import ROOT, errors_of, filled, root_client, staff_client, viewer_client
from tests.factories import dollars, make_key, make_model, make_pot, make_tag, unique
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

KEYS = "/admin/proxy/apikey/"
UPSTREAMS = "/admin/proxy/upstream/"
MODELS = "/admin/proxy/deployment/"
SECRET = "sk-provider-abcdefghijklmnop"


def actions():
    return list(Audit.objects.order_by("id").values_list("actor", "action", "kind"))


def page_of(row):
    return f"/admin/proxy/{row._meta.model_name}/{row.pk}/change/"


def add(rows, client=None, /, **fields):
    client = client or root_client()
    return client.post(f"{rows}add/", filled(client.get(f"{rows}add/"), **fields))


def change(row, client=None, **fields):
    client = client or root_client()
    return client.post(page_of(row), filled(client.get(page_of(row)), **fields))


def listed(client, **filters):
    return [key.pk for key in client.get(KEYS, filters).context["cl"].result_list]


def key_of(**columns):
    """A key made by the verb, as the API makes it."""
    budget = {"limit": dollars("5"), "duration": "daily"}
    key, _ = create_key(Changes({"alias": unique("key"), **columns}, budget), actor="test")
    return key


# -- keys: the secret ----------------------------------------------------------------------------


def test_it_shows_a_new_keys_secret_once():
    client = root_client()

    answer = add(KEYS, client, alias="search-prod")

    key = APIKey.objects.get()
    secret = answer.context["secret"]
    assert answer.status_code == 200
    assert digest_of(secret) == key.digest
    assert answer.content.decode().count(secret) == 1
    assert "no-store" in answer["Cache-Control"]
    for page in (KEYS, page_of(key), f"{KEYS}{key.pk}/history/", "/admin/", "/admin/spend/audit/"):
        assert secret not in client.get(page).content.decode()
    kept = [str(Audit.objects.get().after), LogEntry.objects.get().change_message]
    kept += [str(session.get_decoded()) for session in Session.objects.all()]
    assert not [text for text in kept if secret in text or key.digest in text]
    assert actions() == [(ROOT, "create", "key")]
    assert LogEntry.objects.get().object_id == str(key.pk)


def test_it_makes_no_other_key_when_the_page_is_loaded_again():
    client = root_client()
    sent = filled(client.get(f"{KEYS}add/"), alias="")
    client.post(f"{KEYS}add/", sent)

    again = client.post(f"{KEYS}add/", sent, follow=True)

    assert APIKey.objects.count() == 1
    assert "created already" in again.content.decode()


def test_it_never_shows_a_digest():
    key = key_of()
    client = root_client()

    for page in (KEYS, page_of(key), f"{KEYS}{key.pk}/history/", f"{KEYS}{key.pk}/delete/"):
        text = client.get(page).content.decode()
        assert key.digest not in text
        assert key.digest[:12] not in text


# -- keys: what they are -------------------------------------------------------------------------


def test_it_adds_a_key_with_its_rules_and_budget():
    pot = make_pot(limit="9")

    add(
        KEYS,
        alias="search-prod",
        expires="2030-01-02T03:04:05",
        default_tags="team:search\nenv:prod",
        client_tags="listed",
        allowed_tags="team:*",
        required_tags="env:*",
        more_metadata='{"owner": "ana"}',
        limit="500",
        duration="monthly",
        allowed_models="gpt-4o",
        tpm_limit="1000",
        **{"draws-2-TOTAL_FORMS": "1", "draws-2-0-budget": str(pot.pk)},
    )

    key = APIKey.objects.select_related("budget").get()
    assert (key.alias, key.created_by) == ("search-prod", ROOT)
    assert key.expires_at == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert key.metadata == {"owner": "ana", "tags": ["team:search", "env:prod"]}
    assert (key.allowed_tags, key.required_tags) == (["team:*"], ["env:*"])
    assert (key.budget.limit, key.budget.duration) == (dollars("500"), "monthly")
    assert (key.allowed_models, key.tpm_limit) == (["gpt-4o"], 1000)
    assert key.draws.get().budget == pot


def test_it_tells_no_tags_from_any_tag():
    add(KEYS, alias="any")
    add(KEYS, alias="none", client_tags="listed")

    assert APIKey.objects.get(alias="any").allowed_tags is None
    assert APIKey.objects.get(alias="none").allowed_tags == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("alias", value) for value in ("master", "a\nb", "a" * 129, "taken")),
        *(("default_tags", value) for value in ("a,b", "!a", "\n".join(map(str, range(21))))),
        *(("allowed_tags", value) for value in ("a,b", "a" * 129)),
        ("required_tags", "&a"),
        *(("more_metadata", value) for value in ("[]", "{", '{"tags": ["a"]}', '{"a": NaN}')),
        *(
            ("more_metadata", value)
            for value in ('{"a": "\\ud800"}', '{"a":' * 40 + "1" + "}" * 40)
        ),
        ("more_metadata", '{"a": "%s"}' % ("x" * 16_384)),
        ("more_metadata", '{"a": "\\u0000"}'),
        *(("expires", value) for value in ("soon", "2030-01-01T00:00:00Z")),
        ("limit", "-1"),
        ("client_tags", "some"),
    ],
)
def test_it_refuses_what_the_api_refuses(field, value):
    key_of(alias="taken")

    answer = add(KEYS, **{field: value})

    assert field in errors_of(answer)
    assert APIKey.objects.count() == 1


def test_it_changes_nothing_when_nothing_was_changed():
    key = key_of(
        metadata={"owner": "ana", "tags": ["a"]},
        allowed_tags=[],
        required_tags=["a"],
        expires_at=timezone.now().replace(microsecond=0) + timedelta(days=1),
    )

    answer = change(key)

    assert answer.status_code == 302
    assert actions() == [("test", "create", "key")]


def test_it_changes_a_key_within_its_open_window():
    key = key_of()
    window = BudgetWindow.objects.open().get(budget=key.budget)

    change(key, limit="7", blocked="on")

    window.refresh_from_db()
    key.refresh_from_db()
    assert (window.is_open, window.limit, key.blocked) == (True, dollars("7"), True)
    assert actions() == [("test", "create", "key"), (ROOT, "change", "key")]


def test_it_takes_no_digest_from_a_form():
    key = key_of()
    sent = {"digest": "0" * 64, "ending": "0000", "previous_digest": "1" * 64, "budget": "1"}

    change(key, description="x", **sent)

    kept = APIKey.objects.get()
    assert (kept.digest, kept.ending) == (key.digest, key.ending)
    assert (kept.previous_digest, kept.budget_id) == (None, key.budget_id)


def test_it_deletes_a_key_and_keeps_its_row():
    key = key_of(alias="search-prod")
    client = root_client()

    answer = client.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"})

    kept = APIKey.objects.get()
    assert answer.status_code == 302
    assert kept.deleted_at is not None
    assert listed(client) == []
    assert listed(client, state="deleted") == [key.pk]
    page = client.get(page_of(kept))
    assert page.status_code == 200
    assert 'name="limit"' not in page.content.decode()
    assert client.post(page_of(kept), {"alias": "again"}).status_code == 403
    assert actions()[-1] == (ROOT, "delete", "key")


def test_it_blocks_and_unblocks_many():
    keys = [key_of(), key_of()]
    chosen = {"_selected_action": [key.pk for key in keys]}
    client = root_client()

    asked = client.post(KEYS, {**chosen, "action": "block"})
    assert not APIKey.objects.filter(blocked=True).exists()
    client.post(KEYS, {**chosen, "action": "block", "confirmed": "yes"})
    blocked = APIKey.objects.filter(blocked=True).count()
    client.post(KEYS, {**chosen, "action": "unblock", "confirmed": "yes"})

    assert str(keys[0]) in asked.content.decode()
    assert blocked == 2
    assert not APIKey.objects.filter(blocked=True).exists()
    assert [action for _, action, _ in actions()[2:]] == ["block", "block", "unblock", "unblock"]


@pytest.mark.parametrize("state", ["active", "blocked", "expired", "deleted"])
def test_it_filters_by_state(state):
    made = {
        "active": key_of(),
        "blocked": key_of(blocked=True),
        "expired": key_of(expires_at=timezone.now() - timedelta(days=1)),
        "deleted": key_of(),
    }
    APIKey.objects.filter(pk=made["deleted"].pk).update(deleted_at=timezone.now())

    assert listed(root_client(), state=state) == [made[state].pk]


def test_it_lists_any_number_of_keys_in_a_fixed_number_of_queries(django_assert_max_num_queries):
    for _ in range(20):
        key_of()
    client = root_client()
    client.get(KEYS)

    with django_assert_max_num_queries(9):
        page = client.get(KEYS).content.decode()

    assert page.count("On track") == 20


def test_it_serves_keys_to_whoever_may_only_view():
    key = key_of(allowed_tags=[], metadata={"tags": ["a"], "owner": "ana"})
    client = viewer_client()

    page = client.get(page_of(key)).content.decode()

    assert client.get(KEYS).status_code == 200
    for text in ("$5.00", "daily", "owner", key.masked):
        assert text in page
    assert '<input type="submit"' not in page
    assert client.get(f"{KEYS}add/").status_code == 403
    assert client.post(page_of(key), {"limit": "1"}).status_code == 403
    assert client.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"}).status_code == 403


# -- upstreams -----------------------------------------------------------------------------------


def add_upstream(**fields):
    given = {"name": "openai-eu", "provider": "openai", "address": "https://api.example.com/v1/"}
    return add(UPSTREAMS, **{**given, **fields})


def test_it_keeps_an_upstreams_secret_sealed():
    client = root_client()

    answer = add_upstream(new_secret=SECRET)

    upstream = Upstream.objects.get()
    assert answer.status_code == 302
    assert upstream.address == "https://api.example.com/v1"
    assert open_secret(upstream.id, upstream.secret) == SECRET
    assert SECRET.encode() not in bytes(upstream.secret)
    for page in (UPSTREAMS, page_of(upstream), f"{UPSTREAMS}{upstream.pk}/history/"):
        text = client.get(page).content.decode()
        assert SECRET not in text
        assert "gAAAA" not in text
    assert "sk-...mnop" in client.get(page_of(upstream)).content.decode()
    assert SECRET not in str(Audit.objects.get().after)
    assert actions() == [(ROOT, "create", "upstream")]


def test_it_keeps_the_secret_that_was_not_entered_again():
    add_upstream(new_secret=SECRET)

    change(Upstream.objects.get(), name="openai-us")

    upstream = Upstream.objects.get()
    assert upstream.name == "openai-us"
    assert open_secret(upstream.id, upstream.secret) == SECRET


def test_it_never_sends_back_a_secret_that_was_refused():
    answer = add_upstream(new_secret=SECRET, address="ftp://x")

    assert "address" in errors_of(answer)
    assert SECRET not in answer.content.decode()


def test_it_replaces_and_forgets_a_secret():
    add_upstream(new_secret=SECRET)
    change(Upstream.objects.get(), new_secret="another-secret-of-mnop")
    replaced = Upstream.objects.get()
    assert open_secret(replaced.id, replaced.secret) == "another-secret-of-mnop"

    change(replaced, forget_secret="on")

    upstream = Upstream.objects.get()
    assert (upstream.secret, upstream.secret_ending) == (None, "")
    assert len(actions()) == 3


def test_it_takes_a_secret_from_the_environment(settings):
    settings.UPSTREAM_SECRETS = {"EU_API_KEY": "x"}
    add_upstream(new_secret=SECRET)

    change(Upstream.objects.get(), secret_variable="EU_API_KEY")

    upstream = Upstream.objects.get()
    assert (upstream.secret, upstream.secret_variable) == (None, "EU_API_KEY")


def test_it_knows_where_providers_are():
    add_upstream(address="")

    assert Upstream.objects.get().address == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("address", {"address": "http://169.254.169.254/v1"}),
        ("address", {"address": "http://0177.1/v1"}),
        ("address", {"address": "https://user:pass@host/v1"}),
        ("address", {"address": "https://host/v1?key=1"}),
        ("address", {"address": "file:///etc/passwd"}),
        ("address", {"address": "", "provider": "hosted_vllm"}),
        ("provider", {"provider": "nobody"}),
        ("api_version", {"provider": "azure"}),
        ("new_secret", {"new_secret": "with a space"}),
        ("new_secret", {"new_secret": "s" * 4_097}),
        ("secret_variable", {"secret_variable": "PATH"}),
        ("name", {"name": ""}),
    ],
)
def test_it_refuses_a_bad_upstream(field, fields):
    assert field in errors_of(add_upstream(**fields))
    assert not Upstream.objects.exists()


def test_it_wants_the_secret_again_for_another_provider():
    add_upstream(new_secret=SECRET)

    answer = change(Upstream.objects.get(), provider="groq")

    assert "new_secret" in errors_of(answer)
    assert Upstream.objects.get().provider == "openai"


def test_it_keeps_no_secret_without_a_vault(settings):
    settings.VAULT_KEYS = []

    assert "new_secret" in errors_of(add_upstream(new_secret=SECRET))
    assert not Upstream.objects.exists()


def test_it_deletes_no_upstream_that_serves_a_model():
    upstream = make_model().upstream
    client = root_client()

    client.post(f"{UPSTREAMS}{upstream.pk}/delete/", {"post": "yes"})
    assert Upstream.objects.exists()
    Deployment.objects.all().delete()
    client.post(f"{UPSTREAMS}{upstream.pk}/delete/", {"post": "yes"})

    assert not Upstream.objects.exists()
    assert actions()[-1] == (ROOT, "delete", "upstream")


def test_it_serves_upstreams_to_whoever_may_only_view():
    upstream = make_model(secret=SECRET).upstream
    client = viewer_client()

    page = client.get(page_of(upstream)).content.decode()

    assert "sk-...mnop" in page
    assert SECRET not in page
    assert "new_secret" not in page
    assert client.post(page_of(upstream), {"name": "x"}).status_code == 403


# -- models --------------------------------------------------------------------------------------


def add_model(**fields):
    upstream = make_model("other").upstream
    given = {"model_name": "gpt-4o", "upstream": str(upstream.pk), "upstream_model": "gpt-4o"}
    return add(MODELS, **{**given, **fields})


def test_it_adds_a_model():
    answer = add_model(
        aliases="gpt-4o-latest\ngpt-4",
        tags="paid",
        weight="0",
        output_tokens_max="16384",
        terms='{"fallbacks": ["other"], "supports_vision": true, "token_margin": 7}',
    )

    model = Deployment.objects.get(model_name="gpt-4o")
    assert answer.status_code == 302
    assert (model.created_by, model.enabled) == (ROOT, True)
    assert model.upstream == Deployment.objects.get(model_name="other").upstream
    assert (model.aliases, model.tags) == (["gpt-4o-latest", "gpt-4"], ["paid"])
    assert (model.order, model.weight, model.output_tokens_max) == (1, 0, 16384)
    assert model.terms == {"fallbacks": ["other"], "supports_vision": True, "token_margin": 7}
    assert actions()[-1] == (ROOT, "create", "model")


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("model_name", {"model_name": ""}),
        ("model_name", {"model_name": "a*b"}),
        ("model_name", {"model_name": "a\nb"}),
        ("upstream", {"upstream": ""}),
        ("upstream", {"upstream": "01a21066-4ea9-7000-8cb5-8910aa16c200"}),
        ("upstream_model", {"upstream_model": "openai/*"}),
        ("aliases", {"aliases": "a*b"}),
        ("tags", {"tags": "a,b"}),
        ("order", {"order": "0"}),
        ("weight", {"weight": "32768"}),
        ("timeout_seconds", {"timeout_seconds": "86401"}),
        ("max_retries", {"max_retries": "11"}),
        ("output_tokens_max", {"output_tokens_max": "0"}),
        ("terms", {"terms": "[]"}),
        ("terms", {"terms": '{"fallback": []}'}),
        ("terms", {"terms": '{"token_margin": -1}'}),
        ("terms", {"terms": '{"token_margin": "7"}'}),
        ("terms", {"terms": '{"fallbacks": ["a*b"]}'}),
        ("terms", {"terms": '{"fallbacks": ["1", "2", "3", "4", "5", "6"]}'}),
        ("terms", {"terms": '{"cooldown_time": -1}'}),
        ("terms", {"terms": '{"supports_vision": "yes"}'}),
        ("terms", {"terms": '{"id": "x"}'}),
    ],
)
def test_it_refuses_a_bad_model(field, fields):
    assert field in errors_of(add_model(**fields))
    assert not Deployment.objects.filter(model_name="gpt-4o").exists()


def test_it_changes_a_model():
    model = make_model("gpt-4o", terms={"token_margin": 7})
    elsewhere = make_model("other", address="http://127.0.0.1:2/v1").upstream

    change(model, upstream=str(elsewhere.pk), enabled=None, terms="{}")

    model.refresh_from_db()
    assert (model.upstream, model.enabled, model.terms) == (elsewhere, False, {})
    audit = Audit.objects.latest("id")
    assert audit.action == "update"
    assert (audit.before["enabled"], audit.after["enabled"]) == (True, False)


def test_it_changes_nothing_of_a_model_when_nothing_was_changed():
    model = make_model("gpt-4o", terms={"token_margin": 7}, tags=["paid"], aliases=["a"])

    change(model)

    assert [action for _, action, _ in actions()] == ["create"]


def test_it_deletes_a_model_and_keeps_its_upstream_and_prices():
    model = make_model("gpt-4o")

    root_client().post(f"{MODELS}{model.pk}/delete/", {"post": "yes"})

    assert not Deployment.objects.exists()
    assert Upstream.objects.exists()
    assert Price.objects.exists()
    assert actions()[-1] == (ROOT, "delete", "model")


def test_it_shows_what_models_cost_now():
    make_model("gpt-4o", input="2.5", output="10")
    make_model("free-of-price", input=None, output=None)
    make_model("openai/*", upstream_model="*", input=None, output=None)

    page = root_client().get(MODELS).content.decode()

    assert "$2.50</data>" in page
    assert "$10.00</data>" in page
    assert page.count("No price") == 2
    assert page.count("by what is asked for") == 2


def test_it_lists_any_number_of_models_in_a_fixed_number_of_queries(django_assert_max_num_queries):
    for _ in range(20):
        make_model()
    client = root_client()
    client.get(MODELS)

    with django_assert_max_num_queries(9):
        client.get(MODELS)


def test_it_serves_models_to_whoever_may_only_view():
    model = make_model("gpt-4o")
    client = viewer_client()

    page = client.get(page_of(model)).content.decode()

    assert "$2.50 per 1M tokens" in page
    assert client.post(page_of(model), {"model_name": "x"}).status_code == 403


def test_it_offers_upstreams_by_name():
    make_model()
    asked = {"app_label": "proxy", "model_name": "deployment", "field_name": "upstream"}

    found = root_client().get("/admin/autocomplete/", {**asked, "term": "openai"}).json()

    assert len(found["results"]) == 1


# -- the front page ------------------------------------------------------------------------------


def test_it_opens_with_how_the_system_stands():
    make_tag("marketing", limit="0")
    make_tag("engineering", limit="5")
    make_model("gpt-4o")
    make_model("new-model", input=None, output=None)
    started = timezone.now()
    JobRun.objects.create(job="sweep", started_at=started, last_success_at=started)
    JobRun.objects.create(job="rollover", started_at=started)
    JobRun.objects.create(
        job="prices", started_at=started, last_success_at=started - timedelta(days=9)
    )

    page = root_client().get("/admin/").content.decode()

    panel = page.split('id="panel"')[1].split("</section>")[0]
    assert "marketing" in panel
    assert "engineering" not in panel
    assert "new-model" in panel
    assert "gpt-4o" not in panel
    assert "9 days old" in panel
    assert "never succeeded" in panel
    assert "$0.00</data> held" in panel


def test_its_front_page_reads_no_log(django_assert_max_num_queries):
    for n in range(20):
        make_tag(limit="0")
        make_model(f"m-{n}", input=None, output=None)
        make_past_call(tags=(f"t-{n}",))
    client = root_client()
    client.get("/admin/")

    with django_assert_max_num_queries(12) as sent:
        page = client.get("/admin/").content.decode()

    assert page.count("and more") == 2
    assert not [query["sql"] for query in sent if "spend_spendlog" in query["sql"]]


def test_its_front_page_shows_only_what_one_may_see():
    make_tag("marketing", limit="0")
    make_model("new-model", input=None, output=None)

    page = staff_client("view_jobrun").get("/admin/").content.decode()

    assert "Jobs" in page
    for text in ("marketing", "new-model", "Calls in flight", "Price list"):
        assert text not in page


def test_it_has_no_inline_script_and_no_inline_style():
    key = make_key()
    client = root_client()

    for page in ("/admin/", KEYS, page_of(key), f"{KEYS}add/", "/admin/spend/spendlog/"):
        text = client.get(page).content.decode()
        assert "<style" not in text
        assert " style=" not in text
        assert "<script>" not in text
        assert " onclick=" not in text
