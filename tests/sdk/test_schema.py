"""The API against its own document: whatever is sent, no 5xx, and no answer that is not in it."""

import pytest
import schemathesis
from django.conf import settings as django_settings
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip
CALLS = "/v1/"

every = settings(
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))


def send(case, site, headers) -> None:
    """Calls name a model that answers, most of the time."""
    if case.path.startswith(CALLS) and isinstance(case.body, dict) and "model" in case.body:
        is_anthropic = "messages" in case.path
        case.body["model"] = site.claude if is_anthropic else site.chat
        case.body.pop("timeout", None)  # a nanosecond of patience is a true 504
    case.call_and_validate(base_url=site.url, headers=headers, checks=CHECKS, timeout=30)


@pytest.fixture
def master():
    return {"authorization": f"Bearer {django_settings.MASTER_KEY}"}


@schema.parametrize()
@settings(  # the explicit ones are hundreds; new ones at each run are the slow tests' part
    every, max_examples=2, phases=[Phase.generate], derandomize=True
)
def test_it_answers_as_its_document_says(case, shared_site, master):
    send(case, shared_site, master)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@schema.parametrize()
@settings(every, max_examples=150)
def test_it_answers_as_its_document_says_to_150_requests(case, shared_site, master):
    send(case, shared_site, master)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@schema.parametrize()
@settings(every, max_examples=40)
def test_so_it_does_to_a_virtual_key(case, shared_site):
    send(case, shared_site, {"authorization": f"Bearer {shared_site.key}"})
