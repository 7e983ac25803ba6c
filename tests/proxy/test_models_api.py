"""The model API: /model/*."""

import json

import pytest

from proxy.models import Deployment, Upstream
from proxy.vault import open_secret
from spend.models import Audit, Price
from tests.conftest import client_of
from tests.factories import make_key, make_model

pytestmark = pytest.mark.django_db

SECRET = "sk-provider-0123456789-wxyz"
ID = "0199d0a4-3c20-7e01-a5b2-6c9d0e1f2a3b"
NOBODYS_ID = "0199d0a4-3c20-7e01-a5b2-000000000000"

# As the contract shows it.
GPT_4O = {
    "model_name": "gpt-4o",
    "litellm_params": {
        "model": "openai/gpt-4o",
        "api_base": "https://api.openai.com/v1",
        "api_key": SECRET,
        "tags": ["paid"],
        "weight": 1,
        "order": 1,
        "timeout": 600,
        "stream_timeout": 120,
        "max_retries": 2,
    },
    "model_info": {
        "id": ID,
        "mode": "chat",
        "base_model": None,
        "input_cost_per_token": 2.5e-06,
        "cache_read_input_token_cost": 1.25e-06,
        "output_cost_per_token": 1e-05,
        "max_input_tokens": 128000,
        "max_output_tokens": 16384,
        "fallbacks": ["gpt-4o-mini"],
    },
}


def with_params(**params):
    """The least that makes a model, with these members of `litellm_params`."""
    return {"model_name": "m", "litellm_params": {"model": "openai/m", **params}}


def with_info(**members):
    return {**with_params(), "model_info": members}


def refusal(response):
    error = response.json()["error"]
    return response.status_code, error["type"], error["param"]


# -- /model/new ----------------------------------------------------------------------------------


def test_it_works(management):
    response = management.post("/model/new", GPT_4O)

    answer = response.json()
    assert response.status_code == 200
    assert answer["message"] == f"Model: {ID} created successfully"
    assert answer["model_name"] == "gpt-4o"
    assert answer["litellm_params"] == {
        **GPT_4O["litellm_params"],
        "api_key": "sk-...wxyz",
        "api_version": None,
    }
    info = answer["model_info"]
    assert {name: info[name] for name in GPT_4O["model_info"]} == GPT_4O["model_info"]
    assert info["created_by"] == "master"
    assert answer["effective_price"]["source"] == "deployment"
    upstream = Upstream.objects.get()
    assert open_secret(upstream.id, upstream.secret) == SECRET
    assert SECRET not in response.content.decode()


def test_it_needs_no_more_than_a_name_and_a_model(management):
    response = management.post(
        "/model/new", {"model_name": "fast", "litellm_params": {"model": "gpt-4o-mini"}}
    )

    params = response.json()["litellm_params"]
    assert params["model"] == "openai/gpt-4o-mini"
    assert params["api_base"] == "https://api.openai.com/v1"
    assert params["api_key"] is None
    assert response.json()["effective_price"] is None


@pytest.mark.parametrize(
    ("model", "address"),
    [
        ("anthropic/claude-sonnet-4-5", "https://api.anthropic.com"),
        ("groq/llama-3.3-70b", "https://api.groq.com/openai/v1"),
        ("openrouter/openai/gpt-4o", "https://openrouter.ai/api/v1"),
        ("ollama/llama3", "http://localhost:11434/v1"),
    ],
)
def test_it_knows_where_providers_are(management, model, address):
    answer = management.post("/model/new", with_params(model=model)).json()

    assert answer["litellm_params"]["model"] == model
    assert answer["litellm_params"]["api_base"] == address


def test_it_keeps_prices_to_the_pico_dollar_and_rounds_finer_ones_up(management):
    body = with_info(input_cost_per_token=1)
    text = json.dumps(body).replace(
        '"input_cost_per_token": 1',
        '"input_cost_per_token": 0.0000000000011, "output_cost_per_token": 1e-12',
    )

    response = management.post("/model/new", text, content_type="application/json")

    assert Price.objects.get().rates == {"input": 2, "output": 1}
    assert b'"input_cost_per_token":0.000000000002' in response.content
    assert b'"output_cost_per_token":0.000000000001' in response.content


def test_it_takes_prices_in_either_object(management):
    body = with_info(output_cost_per_token=1e-05)
    body["litellm_params"]["input_cost_per_token"] = 2.5e-06

    management.post("/model/new", body)

    assert Price.objects.get().rates == {"input": 2_500_000, "output": 10_000_000}


def test_it_takes_tiers_images_and_tools(management):
    response = management.post(
        "/model/new",
        with_info(
            input_cost_per_token=3e-06,
            input_cost_per_token_above_200k_tokens=6e-06,
            input_cost_per_token_priority=5e-06,
            image_prices={"1024x1024/high": 0.167},
            tool_prices={"web_search": 0.01},
        ),
    )

    info = response.json()["model_info"]
    assert info["input_cost_per_token_above_200k_tokens"] == 6e-06
    assert info["input_cost_per_token_priority"] == 5e-06
    assert info["image_prices"] == {"1024x1024/high": 0.167}
    assert info["tool_prices"] == {"web_search": 0.01}


def test_it_keeps_terms_and_abilities(management):
    answer = management.post(
        "/model/new",
        with_info(
            aliases=["best"],
            supported_endpoints=["/v1/chat/completions", "embeddings"],
            supports_stream_options=False,
            supports_vision=True,
            tag_routing="any",
            token_margin=7,
        ),
    ).json()

    assert answer["model_info"]["supported_endpoints"] == ["chat/completions", "embeddings"]
    assert answer["model_info"]["supports_vision"] is True
    assert Deployment.objects.get().terms == {
        "supported_endpoints": ["chat/completions", "embeddings"],
        "supports_stream_options": False,
        "supports_vision": True,
        "tag_routing": "any",
        "token_margin": 7,
    }
    assert Deployment.objects.get().aliases == ["best"]


def test_it_takes_a_wildcard(management):
    body = {"model_name": "openai/*", "litellm_params": {"model": "openai/*"}}

    assert management.post("/model/new", body).json()["litellm_params"]["model"] == "openai/*"


def test_it_takes_how_long_and_how_often_a_model_is_tried(management):
    terms = {
        "fallbacks": ["b"], "context_window_fallbacks": ["c"], "connect_timeout": 2,
        "chunk_timeout": 30, "total_timeout": 90, "cooldown_time": 0,
    }  # fmt: skip

    made = management.post("/model/new", with_info(**terms)).json()["model_info"]

    assert {name: made[name] for name in terms} == terms
    change = {"model_info": {"id": made["id"], "cooldown_time": None}}
    changed = management.post("/model/update", change).json()["model_info"]
    assert (changed["cooldown_time"], changed["total_timeout"]) == (None, 90)


def test_it_reads_a_secret_from_a_named_variable(management, settings):
    settings.UPSTREAM_SECRETS = {"OPENAI_API_KEY": "sk-outside"}

    response = management.post("/model/new", with_params(api_key="os.environ/OPENAI_API_KEY"))

    assert response.json()["litellm_params"]["api_key"] == "os.environ/OPENAI_API_KEY"
    assert Upstream.objects.get().secret is None


@pytest.mark.parametrize(
    ("body", "type_", "param"),
    [
        ({}, "invalid_parameter", "model_name"),
        ({"model_name": "m"}, "invalid_parameter", "litellm_params"),
        ({"model_name": "m", "litellm_params": {}}, "invalid_parameter", "litellm_params.model"),
        (with_params(model="bedrock/x"), "unsupported_provider", "litellm_params.model"),
        (with_params(model="openai/"), "invalid_parameter", "litellm_params.model"),
        (with_params(model="m" * 256), "invalid_parameter", "litellm_params.model"),
        (with_params(model="openai/a*b"), "invalid_parameter", "litellm_params.model"),
        (with_params(api_key="k" * 4_097), "invalid_parameter", "litellm_params.api_key"),
        (with_params(model=7), "invalid_parameter", "litellm_params.model"),
        (with_params(model="azure/x"), "invalid_parameter", "litellm_params.api_base"),
        (with_params(model="hosted_vllm/x"), "invalid_parameter", "litellm_params.api_base"),
        (
            with_params(model="azure/x", api_base="https://x.openai.azure.com"),
            "invalid_parameter",
            "litellm_params.api_version",
        ),
        (with_params(model="openai/*"), "invalid_parameter", "litellm_params.model"),
        ({**with_params(), "model_name": "a*b"}, "invalid_parameter", "model_name"),
        ({**with_params(), "model_name": ""}, "invalid_parameter", "model_name"),
        ({**with_params(), "model_name": "a\u0007"}, "invalid_parameter", "model_name"),
        (
            with_params(api_base="http://169.254.169.254/v1"),
            "invalid_parameter",
            "litellm_params.api_base",
        ),
        (
            with_params(api_base="https://u:p@host/v1"),
            "invalid_parameter",
            "litellm_params.api_base",
        ),
        (with_params(api_key="sk-...wxyz"), "invalid_parameter", "litellm_params.api_key"),
        (with_params(api_key="two words"), "invalid_parameter", "litellm_params.api_key"),
        (
            with_params(api_key="os.environ/MASTER_KEY"),
            "invalid_parameter",
            "litellm_params.api_key",
        ),
        (
            with_params(api_key="os.environ/NOT_SET_API_KEY"),
            "invalid_parameter",
            "litellm_params.api_key",
        ),
        (with_params(weight=-1), "invalid_parameter", "litellm_params.weight"),
        (with_params(weight="1"), "invalid_parameter", "litellm_params.weight"),
        (with_params(timeout=0), "invalid_parameter", "litellm_params.timeout"),
        (with_params(timeout=0.5), "invalid_parameter", "litellm_params.timeout"),
        (with_params(max_retries=11), "invalid_parameter", "litellm_params.max_retries"),
        (with_info(fallbacks=["m"] * 6), "invalid_parameter", "model_info.fallbacks"),
        (with_info(fallbacks="m"), "invalid_parameter", "model_info.fallbacks"),
        (with_info(fallbacks=["m/*"]), "invalid_parameter", "model_info.fallbacks"),
        (
            with_info(context_window_fallbacks=[7]),
            "invalid_parameter",
            "model_info.context_window_fallbacks[0]",
        ),
        (with_info(connect_timeout=61), "invalid_parameter", "model_info.connect_timeout"),
        (with_info(chunk_timeout=0), "invalid_parameter", "model_info.chunk_timeout"),
        (with_info(total_timeout="9"), "invalid_parameter", "model_info.total_timeout"),
        (with_info(cooldown_time=-1), "invalid_parameter", "model_info.cooldown_time"),
        (with_params(tags=["a,b"]), "invalid_tag", "litellm_params.tags[0]"),
        (with_params(rpm=5), "unsupported_field", "litellm_params.rpm"),
        (with_params(tag_regex=["x"]), "unsupported_field", "litellm_params.tag_regex"),
        (with_params(nonsense=5), "unknown_field", "litellm_params.nonsense"),
        (
            with_params(input_cost_per_pixel=1),
            "unsupported_field",
            "litellm_params.input_cost_per_pixel",
        ),
        (
            with_params(input_cost_per_token="1"),
            "invalid_parameter",
            "litellm_params.input_cost_per_token",
        ),
        (
            with_info(input_cost_per_token=-1),
            "invalid_parameter",
            "model_info.input_cost_per_token",
        ),
        (
            with_info(input_cost_per_token=2.5),
            "invalid_parameter",
            "model_info.input_cost_per_token",
        ),
        (
            with_info(image_prices={"x": "1"}),
            "invalid_parameter",
            "model_info.image_prices.x",
        ),
        (with_info(id="mine"), "invalid_parameter", "model_info.id"),
        (with_info(tag_routing="some"), "invalid_parameter", "model_info.tag_routing"),
        (with_info(supports_vision="yes"), "invalid_parameter", "model_info.supports_vision"),
        (with_info(team_id="t"), "unsupported_field", "model_info.team_id"),
        ({**with_params(), "blocked": True}, "unsupported_field", "blocked"),
        ({**with_params(), "nonsense": 1}, "unknown_field", "nonsense"),
    ],
)
def test_it_refuses_bad_models_and_stores_nothing(management, body, type_, param):
    assert refusal(management.post("/model/new", body)) == (400, type_, param)
    assert not Deployment.objects.exists()
    assert not Upstream.objects.exists()
    assert not Audit.objects.exists()


def test_it_accepts_what_says_nothing_of_fields_that_only_litellm_has(management):
    body = {**with_params(rpm=None, tag_regex=[], input_cost_per_pixel=None), "team_id": ""}

    assert management.post("/model/new", body).status_code == 200


def test_it_refuses_two_prices_for_one_thing(management):
    body = with_info(input_cost_per_token=1e-06)
    body["litellm_params"]["input_cost_per_token"] = 2e-06

    response = management.post("/model/new", body)

    assert refusal(response) == (400, "invalid_parameter", "model_info.input_cost_per_token")


def test_it_refuses_an_id_that_is_taken(management):
    management.post("/model/new", GPT_4O)

    response = management.post("/model/new", GPT_4O)

    assert refusal(response) == (409, "already_exists", "model_info.id")
    assert response.json()["detail"] == response.json()["error"]["message"]


def test_it_refuses_a_secret_without_a_vault(management, settings):
    settings.VAULT_KEYS = []

    response = management.post("/model/new", with_params(api_key=SECRET))

    assert refusal(response) == (400, "invalid_parameter", "litellm_params.api_key")
    assert SECRET not in response.content.decode()


def test_it_refuses_private_addresses_when_told(management, settings):
    settings.PRIVATE_UPSTREAMS = False

    response = management.post("/model/new", with_params(api_base="http://10.0.0.7/v1"))

    assert refusal(response) == (400, "invalid_parameter", "litellm_params.api_base")


# -- /model/update and PATCH ---------------------------------------------------------------------


def test_it_changes_only_what_is_sent(management):
    management.post("/model/new", GPT_4O)

    response = management.post(
        "/model/update",
        {
            "litellm_params": {"weight": 5},
            "model_info": {"id": ID, "output_cost_per_token": 8e-06, "fallbacks": None},
        },
    )

    answer = response.json()
    assert answer["litellm_params"] == {
        **GPT_4O["litellm_params"],
        "api_key": "sk-...wxyz",
        "api_version": None,
        "weight": 5,
    }
    assert answer["model_info"]["input_cost_per_token"] == 2.5e-06
    assert answer["model_info"]["output_cost_per_token"] == 8e-06
    assert answer["model_info"]["fallbacks"] is None
    assert [audit.action for audit in Audit.objects.all()] == ["update", "create"]


def test_it_may_be_sent_back_what_was_read(management):
    management.post("/model/new", GPT_4O)
    (read,) = management.get("/model/info").json()["data"]

    response = management.post("/model/update", read)

    assert response.status_code == 200
    assert without_times(response.json()) == without_times(read)
    upstream = Upstream.objects.get()
    assert open_secret(upstream.id, upstream.secret) == SECRET
    assert Price.objects.count() == 1
    assert Audit.objects.count() == 1


def without_times(answer):
    info = {k: v for k, v in answer["model_info"].items() if k != "updated_at"}
    return {**answer, "model_info": info}


def test_it_rotates_a_secret(management):
    management.post("/model/new", GPT_4O)

    response = management.patch(
        f"/model/{ID}/update", {"litellm_params": {"api_key": "sk-rotated-0123456789"}}
    )

    assert response.json()["litellm_params"]["api_key"] == "sk-...6789"
    upstream = Upstream.objects.get()
    assert open_secret(upstream.id, upstream.secret) == "sk-rotated-0123456789"


def test_it_refuses_the_masked_text_of_another_secret(management):
    management.post("/model/new", GPT_4O)

    response = management.patch(
        f"/model/{ID}/update", {"litellm_params": {"api_key": "sk-...0000"}}
    )

    assert refusal(response) == (400, "invalid_parameter", "litellm_params.api_key")


def test_it_does_not_send_one_providers_secret_to_another(management):
    management.post("/model/new", GPT_4O)
    change = {"litellm_params": {"model": "groq/llama-3.3-70b"}}

    response = management.patch(f"/model/{ID}/update", change)
    change["litellm_params"]["api_key"] = "gsk-0123456789abcdef"
    with_secret = management.patch(f"/model/{ID}/update", change)

    assert refusal(response) == (400, "invalid_parameter", "litellm_params.api_key")
    assert with_secret.json()["litellm_params"]["api_base"] == "https://api.groq.com/openai/v1"


def test_it_clears_prices(management):
    management.post("/model/new", GPT_4O)
    prices = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")

    response = management.patch(f"/model/{ID}/update", {"model_info": dict.fromkeys(prices)})

    assert "input_cost_per_token" not in response.json()["model_info"]
    assert response.json()["effective_price"] is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"litellm_params": {"weight": 2}}, (400, "invalid_parameter", "model_info.id")),
        ({"model_info": {"id": NOBODYS_ID}}, (404, "not_found", "model_info.id")),
        (
            {"model_info": {"id": ID}, "litellm_params": {"model": "openai/*"}},
            (400, "invalid_parameter", "litellm_params.model"),
        ),
        ({"model_info": {"id": ID, "nonsense": 1}}, (400, "unknown_field", "model_info.nonsense")),
    ],
)
def test_it_refuses_bad_changes(management, change, expected):
    management.post("/model/new", GPT_4O)

    assert refusal(management.post("/model/update", change)) == expected
    assert Audit.objects.count() == 1


def test_it_refuses_another_id_in_the_body_than_in_the_path(management):
    management.post("/model/new", GPT_4O)

    response = management.patch(f"/model/{ID}/update", {"model_info": {"id": NOBODYS_ID}})

    assert refusal(response) == (400, "invalid_parameter", "model_info.id")


# -- /model/delete and /model/info ---------------------------------------------------------------


def test_it_deletes_a_model(management):
    management.post("/model/new", GPT_4O)

    response = management.post("/model/delete", {"id": ID})

    assert response.json() == {"message": f"Model: {ID} deleted successfully"}
    assert not Deployment.objects.exists()
    assert refusal(management.post("/model/delete", {"id": ID})) == (404, "not_found", "id")
    assert refusal(management.post("/model/delete", {"id": "x"})) == (404, "not_found", "id")


def test_it_lists_all_models_or_one(management):
    first, second = make_model("a"), make_model("b")

    everything = management.get("/model/info").json()["data"]
    one = management.get("/v1/model/info", {"litellm_model_id": str(second.id)}).json()["data"]

    assert [model["model_name"] for model in everything] == ["a", "b"]
    assert [model["model_info"]["id"] for model in one] == [str(second.id)]
    assert str(first.id) != str(second.id)


@pytest.mark.parametrize("wanted", [NOBODYS_ID, "no-id"])
def test_it_refuses_an_unknown_id(management, wanted):
    response = management.get("/model/info", {"litellm_model_id": wanted})

    assert refusal(response) == (404, "not_found", "litellm_model_id")


def test_it_tells_the_price_that_counts(management):
    Price.objects.create(
        source="catalogue", provider="openai", model="gpt-4o", rates={"input": 2_500_000}
    )
    make_model("a", upstream_model="gpt-4o", input=None, output=None)

    (model,) = management.get("/model/info").json()["data"]

    assert model["effective_price"]["source"] == "catalogue"
    assert model["effective_price"]["input_cost_per_token"] == 2.5e-06
    assert "input_cost_per_token" not in model["model_info"]


def test_a_key_sees_the_models_that_it_may_use_and_no_upstream():
    make_model("gpt-4o", aliases=["best"])
    make_model("gpt-4o-mini")
    make_model("openai/*", upstream_model="*")
    make_model("claude")

    def seen(*patterns):
        key = make_key(columns={"allowed_models": list(patterns)})
        return client_of(key.secret).get("/model/info").json()["data"]

    assert [model["model_name"] for model in seen("gpt-*")] == ["gpt-4o", "gpt-4o-mini"]
    assert [model["model_name"] for model in seen("best", "openai/o3")] == ["gpt-4o", "openai/*"]
    assert len(seen()) == 4
    assert {model["litellm_params"]["api_base"] for model in seen()} == {None}
    assert {model["litellm_params"]["api_key"] for model in seen()} == {None}


@pytest.mark.parametrize(
    "path", ["/model/new", "/model/update", "/model/delete", f"/model/{ID}/update"]
)
def test_it_is_for_the_master_key_only(path):
    client = client_of(make_key().secret)
    method = client.patch if path.startswith(f"/model/{ID}") else client.post

    assert refusal(method(path, {})) == (403, "permission_denied", None)
    assert client_of("sk-nobody").post(path, {}).status_code == 401
