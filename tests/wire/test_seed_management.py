"""The seeds' management examples, word for word: what they send and what they say comes back."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from proxy.models import APIKey
from spend.models import Budget, BudgetWindow
from tags.models import Tag

pytestmark = pytest.mark.django_db

NEW = """{
            "name": "engineering", 
            "description": "Engineering department cost center",
            "max_budget": 500.0, 
            "budget_duration": "30d"
        }"""
INFO = """{
           "names": ["engineering", "marketing"]
         }"""
UPDATE = """{
           "name": "engineering",
           "max_budget": 750.0,
           "budget_duration": "30d"
         }"""
DELETE = """{
           "name": "engineering"
         }"""
GENERATE = """{
    "metadata": {
      "tags": ["AWS_IAM_PROD", "team-backend"]
    }
  }"""

INFO_MEMBERS = {
    "name", "description", "spend", "max_budget", "budget_duration", "budget_reset_at",
    "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture
def curl(settings):
    """`curl -X POST <path> -H 'Authorization: Bearer sk-1234' -H 'Content-Type: ...' -d <body>`."""
    settings.MASTER_KEY = "sk-1234"

    def send(path: str, body: str):
        return Client().post(
            path,
            body,
            content_type="application/json",
            headers={"authorization": "Bearer sk-1234"},
        )

    return send


def set_clock(name: str, created: datetime, resets: datetime) -> None:
    """As if the tag had been created then."""
    Tag.objects.filter(name=name).update(created_at=created, updated_at=created)
    budget = Budget.objects.get(tag__name=name)
    Budget.objects.filter(pk=budget.pk).update(anchor=created)
    BudgetWindow.objects.filter(budget=budget).update(starts_at=created, ends_at=resets)


def test_it_creates_the_seed_s_tag(curl):
    response = curl("/tag/new", NEW)

    assert response.status_code == 200
    answer = response.json()
    created = datetime.fromisoformat(answer["created_at"])
    assert answer["name"] == "engineering"
    assert answer["description"] == "Engineering department cost center"
    assert answer["max_budget"] == 500.0
    assert answer["budget_duration"] == "30d"
    assert answer["created_at"].endswith("Z")
    assert datetime.fromisoformat(answer["budget_reset_at"]) == created + timedelta(days=30)
    assert '"max_budget":500.0,' in response.content.decode()


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("1s", 1), ("1m", 60), ("1h", 3_600), ("1d", 86_400), ("7d", 604_800), ("30d", 2_592_000)],
)
def test_it_takes_each_duration_of_the_seed_s_table(curl, duration, seconds):
    answer = curl("/tag/new", json.dumps({"name": "t", "budget_duration": duration})).json()

    started = datetime.fromisoformat(answer["budget_started_at"])
    ends = datetime.fromisoformat(answer["budget_reset_at"])
    assert answer["budget_duration"] == duration
    assert (ends - started).total_seconds() == seconds


def test_it_answers_the_seed_s_info(curl):
    curl("/tag/new", NEW)
    curl(
        "/tag/new",
        json.dumps(
            {
                "name": "marketing",
                "max_budget": 300.0,
                "budget_duration": "30d",
                "description": "Marketing department cost center",
            }
        ),
    )
    for name, spent in (("engineering", 245_500_000_000), ("marketing", 89_200_000_000)):
        BudgetWindow.objects.filter(budget__tag__name=name).update(spent=spent)

    answer = curl("/tag/info", INFO).json()

    assert list(answer) == ["engineering", "marketing"]
    assert answer["engineering"].keys() >= INFO_MEMBERS
    assert answer["engineering"]["spend"] == 245.50
    assert answer["engineering"]["max_budget"] == 500.0
    assert answer["marketing"]["spend"] == 89.20
    assert answer["marketing"]["description"] == "Marketing department cost center"
    assert answer["marketing"]["max_budget"] == 300.0


def test_it_writes_times_as_the_seed_does(curl):
    curl("/tag/new", NEW)
    created, now = datetime(2125, 10, 11, tzinfo=UTC), datetime(2125, 11, 10, tzinfo=UTC)
    set_clock("engineering", created, now)

    answer = curl("/tag/info", '{"names": ["engineering"]}').json()["engineering"]

    assert answer["created_at"] == "2125-10-11T00:00:00Z"
    assert answer["budget_reset_at"] == "2125-11-10T00:00:00Z"


def test_it_updates_the_seed_s_tag_and_keeps_its_window(curl):
    curl("/tag/new", NEW)
    BudgetWindow.objects.filter(budget__tag__name="engineering").update(spent=245_500_000_000)
    before = curl("/tag/info", '{"names": ["engineering"]}').json()["engineering"]

    answer = curl("/tag/update", UPDATE).json()

    assert answer["max_budget"] == 750.0
    assert answer["spend"] == 245.50
    assert answer["remaining"] == 504.50
    assert answer["budget_reset_at"] == before["budget_reset_at"]
    assert BudgetWindow.objects.filter(budget__tag__name="engineering").count() == 1


def test_it_deletes_the_seed_s_tag(curl):
    curl("/tag/new", NEW)

    response = curl("/tag/delete", DELETE)

    assert response.status_code == 200
    assert response.json() == {"message": "Tag engineering deleted successfully"}
    assert not Tag.objects.exists()


def test_it_generates_the_seed_s_key(curl):
    response = curl("/key/generate", GENERATE)

    assert response.status_code == 200
    answer = response.json()
    assert answer["key"].startswith("sk-")
    assert len(answer["key"]) == 46
    assert answer["metadata"] == {"tags": ["AWS_IAM_PROD", "team-backend"]}
    assert APIKey.objects.get().metadata == {"tags": ["AWS_IAM_PROD", "team-backend"]}
