"""POST /spend/calculate: what a call costs or would cost; nothing is held."""

from datetime import UTC, datetime

import pytest

from spend.models import BudgetWindow, Reservation, SpendLog
from tests.conftest import client_of
from tests.factories import make_key, make_model, make_tag

pytestmark = pytest.mark.django_db

MESSAGES = [{"role": "user", "content": "Hello"}]


def refusal(response):
    error = response.json()["error"]
    return response.status_code, error["type"], error["param"]


def test_it_works(management):
    make_model("gpt-4o", input="2.5", output="10")

    answer = management.post(
        "/spend/calculate",
        {"model": "gpt-4o", "usage": {"prompt_tokens": 400, "completion_tokens": 100}},
    ).json()

    assert answer.pop("price_id")
    assert answer == {
        "cost": 0.002,
        "upper_bound": 0.002,
        "model": "gpt-4o",
        "breakdown": {"input": 0.001, "output": 0.001},
        "budgets": [],
        "admitted": True,
    }


def test_it_reads_an_answer_that_names_the_upstreams_model(management):
    make_model("best", upstream_model="gpt-4o", input="2.5", output="10")
    answered = {
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500},
    }

    answer = management.post("/spend/calculate", {"completion_response": answered}).json()

    assert answer["cost"] == 0.002


@pytest.mark.parametrize(
    ("usage", "breakdown"),
    [
        (
            {
                "input_tokens": 400, "output_tokens": 100, "total_tokens": 500,
                "input_tokens_details": {"cached_tokens": 300},
            },
            {"input": 0.00025, "cached_input": 0.00075, "output": 0.001},
        ),
        (
            {"input_tokens": 100, "cache_read_input_tokens": 300, "output_tokens": 100},
            {"input": 0.00025, "cached_input": 0.00075, "output": 0.001},
        ),
    ],
)  # fmt: skip
def test_it_reads_each_dialects_usage(management, usage, breakdown):
    make_model("gpt-4o", input="2.5", output="10")

    answer = management.post("/spend/calculate", {"model": "gpt-4o", "usage": usage}).json()

    assert (answer["cost"], answer["breakdown"]) == (0.002, breakdown)


@pytest.mark.parametrize("form", [{"input": "Hello"}, {"prompt": "Hello"}, {"messages": MESSAGES}])
def test_it_takes_every_form_of_a_prompt(management, form):
    make_model("gpt-4o")

    answer = management.post(
        "/spend/calculate", {"model": "gpt-4o", "max_tokens": 10, "tags": None} | form
    ).json()

    assert 0 < answer["cost"] <= answer["upper_bound"]


def test_it_estimates_a_call_and_bounds_it(management):
    make_model("gpt-4o", input="2.5", output="10")
    body = {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 100, "temperature": 0.7}

    answer = management.post("/spend/calculate", body).json()

    assert 0.001 <= answer["cost"] < answer["upper_bound"] < 0.01
    assert answer["breakdown"] == {}


def test_it_does_not_bound_what_has_no_bound(management):
    make_model("gpt-4o")
    image = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": image}]}

    assert management.post("/spend/calculate", body).json()["upper_bound"] is None


def test_it_lists_the_budgets_of_tags_and_key_and_says_whether_they_have_room(management):
    make_model("gpt-4o")
    make_tag("engineering", limit="500", duration="30d")
    make_tag("broke", limit="0")
    make_tag("tight", limit="0.000001", mode="strict")
    body = {"model": "gpt-4o", "messages": MESSAGES}

    roomy = management.post("/spend/calculate", {**body, "tags": ["engineering", "eu"]}).json()
    broke = management.post("/spend/calculate", {**body, "tags": ["broke"]}).json()
    tight = management.post("/spend/calculate", {**body, "tags": ["tight"]}).json()

    (budget,) = roomy["budgets"]
    assert (budget["tag"], budget["limit"], budget["remaining"]) == ("engineering", 500.0, 500.0)
    assert budget["requested"] == roomy["cost"]
    assert (roomy["admitted"], broke["admitted"], tight["admitted"]) == (True, False, False)
    assert tight["budgets"][0]["requested"] == tight["upper_bound"]


def test_it_holds_nothing(management):
    make_model("gpt-4o")
    make_tag("engineering", limit="500")

    management.post(
        "/spend/calculate", {"model": "gpt-4o", "messages": MESSAGES, "tags": ["engineering"]}
    )

    assert not Reservation.objects.exists()
    assert not SpendLog.objects.exists()
    assert BudgetWindow.objects.get().reserved == 0


def test_a_key_is_told_of_its_own_budget_and_default_tags():
    make_model("gpt-4o")
    make_tag("engineering", limit="500")
    key = make_key("ci", tags=("engineering",), limit="25")

    answer = client_of(key.secret).post(
        "/spend/calculate", {"model": "gpt-4o", "messages": MESSAGES}
    )

    budgets = answer.json()["budgets"]
    assert [(b["tag"], b["key_alias"]) for b in budgets] == [("engineering", None), (None, "ci")]
    assert all(b["starts_at"] <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" for b in budgets)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "invalid_parameter", None)),
        ({"model": "gpt-4o"}, (400, "invalid_parameter", None)),
        ({"messages": MESSAGES}, (400, "invalid_parameter", "model")),
        ({"model": "gpt-9", "messages": MESSAGES}, (404, "model_not_found", "model")),
        ({"model": "gpt-4o", "usage": {"prompt_tokens": -1}}, (400, "invalid_parameter", "usage")),
        ({"completion_response": {"model": "gpt-4o"}}, (400, "invalid_parameter", "usage")),
        (
            {"model": "gpt-4o", "messages": MESSAGES, "tags": "engineering"},
            (400, "invalid_parameter", "tags"),
        ),
        (
            {"model": "gpt-4o", "messages": MESSAGES, "tags": ["a,b"]},
            (400, "invalid_tag", "tags"),
        ),
        (
            {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": 0},
            (400, "invalid_parameter", "max_tokens"),
        ),
        (
            {"model": "gpt-4o", "messages": MESSAGES, "api_base": "http://x"},
            (400, "unsupported_parameter", "api_base"),
        ),
        ({"model": "free", "messages": MESSAGES}, (400, "model_not_priced", "model")),
        (
            {"model": "half", "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
            (400, "model_not_priced", "model"),
        ),
    ],
)
def test_it_refuses_what_it_cannot_calculate(management, body, expected):
    make_model("gpt-4o")
    make_model("free", input=None, output=None)
    make_model("half", output=None)

    assert refusal(management.post("/spend/calculate", body)) == expected


def test_a_key_cannot_ask_for_models_that_it_may_not_use():
    make_model("gpt-4o")
    client = client_of(make_key(columns={"allowed_models": ["o3"]}).secret)

    response = client.post("/spend/calculate", {"model": "gpt-4o", "messages": MESSAGES})

    assert refusal(response) == (403, "key_model_access_denied", "model")
