"""Health and docs: who may ask what, and what is told when a part is down."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.migrations.executor import MigrationExecutor

from proxy.credentials import new_secret
from spend.models import JobRun, Reservation
from spend.rollover import database_now
from tests.conftest import client_of
from tests.factories import make_key, make_model
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

LIVENESS = ("/livez", "/health/liveliness", "/health/liveness", "/livez/")
READINESS = ("/readyz", "/health/readiness", "/readyz/")
DOCS = ("/openapi.json", "/docs", "/redoc")


# -- alive and ready -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", LIVENESS)
def test_it_works(client, path, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get(path)

    assert (response.status_code, response.json()) == (200, "I'm alive!")


@pytest.mark.parametrize("path", READINESS)
def test_it_is_ready_when_all_parts_are_there(client, path):
    response = client.get(path)

    assert response.status_code == 200
    assert response.json() == {"status": "healthy", "db": "connected", "cache": "connected"}


def test_it_is_ready_without_redis_and_says_so(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    response = client.get("/health/readiness")

    assert response.status_code == 200
    assert response.json() == {"status": "healthy", "db": "connected", "cache": "disconnected"}


def test_it_is_not_ready_without_its_database(client, monkeypatch):
    def fail(self, *args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(MigrationExecutor, "__init__", fail)

    response = client.get("/health/readiness")

    assert response.status_code == 503
    assert response.json() == {"status": "unhealthy", "db": "disconnected", "cache": "connected"}


def test_it_is_not_ready_while_a_migration_is_missing(client, monkeypatch):
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: ["one"])

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["db"] == "migrations are missing"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_it_tells_nothing_about_itself(client, path):
    response = client.get(path)

    told = (response.content.decode() + str(response.headers)).lower()
    assert not any(word in told for word in ("tollgate", "django", "postgres", "127.0.0.1"))
    assert client.post(path).status_code == 405


# -- what traffic showed -------------------------------------------------------------------------


def test_it_sorts_endpoints_by_what_their_calls_showed(management):
    works, broken, idle = make_model("works"), make_model("broken"), make_model("idle")
    for model, status in ((works, "failure"), (works, "success"), (broken, "failure")):
        make_past_call(status=status, intent={"deployment_id": model.id})
    make_past_call(status="refused", intent={"deployment_id": works.id})

    answer = management.get("/health").json()

    assert [endpoint["model_name"] for endpoint in answer["healthy_endpoints"]] == ["idle", "works"]
    assert (answer["healthy_count"], answer["unhealthy_count"]) == (2, 1)
    (unhealthy,) = answer["unhealthy_endpoints"]
    assert unhealthy.pop("last_call_at")
    assert unhealthy == {
        "model_name": "broken",
        "model": "openai/broken",
        "model_id": str(broken.id),
        "calls": 1,
        "failed_calls": 1,
    }
    assert answer["healthy_endpoints"][1]["calls"] == 2
    assert str(idle.id) == answer["healthy_endpoints"][0]["model_id"]


def test_it_forgets_what_was_long_ago(management):
    model = make_model("was-broken")
    make_past_call(status="failure", intent={"deployment_id": model.id}, ago=timedelta(minutes=16))

    assert management.get("/health").json()["unhealthy_count"] == 0


def test_it_tells_of_the_ledger_and_the_jobs(management):
    now = database_now()
    for minutes in (1, -1):
        Reservation.objects.create(
            id=uuid4(),
            worker=1,
            windows=[],
            holds=[],
            estimate=0,
            admitted_at=now,
            expires_at=now + timedelta(minutes=minutes),
            intent={},
        )
    JobRun.objects.create(job="sweep", started_at=now, last_success_at=now)

    answer = management.get("/health").json()

    assert answer["ledger"] == {"reservations_open": 2, "reservations_overdue": 1}
    assert answer["jobs"]["sweep"].endswith("Z")


def test_it_is_for_the_master_key(client):
    assert client_of(make_key().secret).get("/health").status_code == 403
    assert client.get("/health").status_code == 401


# -- docs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCS)
def test_its_docs_are_open_when_told(client, settings, path):
    settings.API_DOCS = "public"

    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", DOCS)
def test_its_docs_are_for_staff_and_the_master_key(client, settings, management, path):
    settings.API_DOCS = "staff"
    staff = User.objects.create_user("ann", is_staff=True)
    visitor = User.objects.create_user("bob")

    assert client.get(path).status_code == 401
    assert client_of(new_secret()).get(path).status_code == 401
    assert client_of(make_key().secret).get(path).status_code == 403
    client.force_login(visitor)
    assert client.get(path).status_code == 403
    client.force_login(staff)
    assert client.get(path).status_code == 200
    assert management.get(path).status_code == 200


def test_its_document_has_every_path_and_says_that_a_key_is_needed(client, settings):
    settings.API_DOCS = "public"

    document = json.loads(client.get("/openapi.json").content)

    wanted = {
        "/v1/chat/completions", "/v1/models", "/v1/models/{model}", "/tag/new", "/tag/info",
        "/key/generate", "/budget/new", "/model/new", "/model/{model_id}/update", "/model/info",
        "/spend/logs", "/spend/logs/v2", "/spend/logs/{call_id}", "/global/spend/report",
    }  # fmt: skip
    assert wanted <= document["paths"].keys()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert not [path for path in document["paths"] if path.startswith("/admin")]
    generate = document["paths"]["/model/new"]["post"]
    assert generate["requestBody"]["content"]["application/json"]["examples"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_its_pages_load_nothing_from_elsewhere(client, settings, path):
    settings.API_DOCS = "public"

    page = client.get(path).content.decode()

    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://" not in page.replace("https://github.com", "")
