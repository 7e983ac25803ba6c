"""The documents of the spend paths: each with what it may be asked, and an example."""

import pytest

pytestmark = pytest.mark.django_db

PATHS = {
    "/tag/daily/activity": {"start_date", "end_date", "tags", "model", "api_key", "page"},
    "/spend/logs": {"tag", "untagged", "api_key", "min_spend", "cursor", "page", "sort_order"},
    "/spend/logs/v2": {"tag", "status_filter", "error_type", "end_user", "session_id"},
    "/spend/logs/{call_id}": {"call_id"},
    "/spend/export": {"format", "tag", "request_id", "model_id", "max_spend"},
    "/spend/focus": {"month", "version", "start_date", "end_date"},
    "/spend/tags": {"start_date", "end_date"},
    "/global/spend/tags": {"start_date", "end_date", "tags"},
    "/global/spend/all_tag_names": set(),
    "/global/spend/report": {"group_by", "tag", "key_alias", "model", "format"},
    "/key/info": {"key"},
}


@pytest.fixture
def document(management, settings):
    settings.API_DOCS = "public"
    return management.get("/openapi.json").json()


@pytest.mark.parametrize("path", PATHS)
def test_it_tells_what_may_be_asked_and_answered(document, path):
    told = document["paths"][path]["get"]

    assert {parameter["name"] for parameter in told.get("parameters", ())} >= PATHS[path]
    examples = [
        example["value"]
        for answer in told["responses"].values()
        for content in answer.get("content", {}).values()
        for example in content.get("examples", {}).values()
    ]
    assert examples
    assert told["description"]


def test_it_shows_a_calculation(document):
    told = document["paths"]["/spend/calculate"]["post"]

    asked = told["requestBody"]["content"]["application/json"]["examples"]
    assert len(asked) == 2
    assert told["responses"]["200"]["content"]["application/json"]["examples"]
    assert document["paths"]["/spend/export"]["get"]["responses"]["200"]["content"].keys() == {
        "text/csv",
        "application/x-ndjson",
    }
