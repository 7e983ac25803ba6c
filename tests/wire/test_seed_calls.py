"""The seeds' examples of calls, word for word but for host, port and key, on a live server."""

import json
import shutil
import subprocess
import time

import pytest

from proxy.models import APIKey, Deployment
from spend.models import TagSet
from tags.actions import delete_tag
from tags.models import Tag
from tests.factories import make_model, make_tag
from tests.wire.live import HEARD_SECONDS

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")

# -- Request Tags for Spend Tracking -------------------------------------------------------------

TAGS_SDK = """
from openai import OpenAI

client = OpenAI(
    api_key="sk-1234",
    base_url="http://0.0.0.0:4000"
)

response = client.chat.completions.create(
    model="gpt-4",
    messages=[{"role": "user", "content": "Hello"}],
    extra_body={
        "metadata": {
            "tags": ["AWS_IAM_PROD", "us-east-1"]
        }
    }
)
"""
TAGS_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/chat/completions' \
  -H 'Authorization: Bearer sk-1234' \
  -H 'Content-Type: application/json' \
  -d '{
    "model": "gpt-4",
    "messages": [{"role": "user", "content": "Hello"}],
    "metadata": {
      "tags": ["AWS_IAM_PROD", "us-east-1"]
    }
  }'
"""
KEY_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/key/generate' \
  -H 'Authorization: Bearer sk-1234' \
  -H 'Content-Type: application/json' \
  -d '{
    "metadata": {
      "tags": ["AWS_IAM_PROD", "team-backend"]
    }
  }'
"""

# -- Setting Tag Budgets -------------------------------------------------------------------------

NEW_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/tag/new' \
     -H 'Authorization: Bearer sk-1234' \
     -H 'Content-Type: application/json' \
     -d '{
            "name": "engineering",
            "description": "Engineering department cost center",
            "max_budget": 500.0,
            "budget_duration": "30d"
        }'
"""
BUDGET_SDK = """
import openai
client = openai.OpenAI(
    api_key="sk-1234",  # Your LiteLLM proxy key
    base_url="http://0.0.0.0:4000"
)
response = client.chat.completions.create(
    model="gpt-4",
    messages=[{"role": "user", "content": "Hello"}],
    extra_body={
        "metadata": {
            "tags": ["engineering"]
        }
    }
)
"""
BUDGET_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/chat/completions' \
     -H 'Authorization: Bearer sk-1234' \
     -H 'Content-Type: application/json' \
     -d '{
           "model": "gpt-4",
           "messages": [{"role": "user", "content": "Hello"}],
           "metadata": {
               "tags": ["engineering"]
           }
         }'
"""
EXCEEDED = """
{
  "error": {
    "message": "Budget has been exceeded! Tag=engineering Current cost: 505.50, Max budget: 500.0",
    "type": "budget_exceeded",
    "param": null,
    "code": "400"
  }
}
"""
INFO_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/tag/info' \
     -H 'Authorization: Bearer sk-1234' \
     -H 'Content-Type: application/json' \
     -d '{
           "names": ["engineering", "marketing"]
         }'
"""
SEVERAL_SDK = """
response = client.chat.completions.create(
    model="gpt-4",
    messages=[{"role": "user", "content": "Hello"}],
    extra_body={
        "metadata": {
            "tags": ["engineering", "project-alpha", "customer-acme"]
        }
    }
)
"""
SEVERAL_CURL = r"""
curl -X POST 'http://0.0.0.0:4000/chat/completions' \
     -H 'Authorization: Bearer sk-1234' \
     -H 'Content-Type: application/json' \
     -d '{
           "model": "gpt-4",
           "messages": [{"role": "user", "content": "Hello"}],
           "metadata": {
               "tags": ["engineering", "project-alpha", "customer-acme"]
           }
         }'
"""
SEVERAL = ["engineering", "project-alpha", "customer-acme"]


@pytest.fixture
def adapt(server, master_key):
    """Host, port and key are this server's; nothing else is changed."""
    return lambda text: text.replace("http://0.0.0.0:4000", server.url).replace(
        "sk-1234", master_key
    )


@pytest.fixture
def curl(adapt):
    def send(text):
        """The status and the body of what the shell made of the example."""
        command = adapt(text).strip() + " -s -w '\\n%{http_code}'"
        shown = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=30)
        body, _, status = shown.stdout.decode().rpartition("\n")
        return int(status), json.loads(body)

    return send


@pytest.fixture
def sdk(adapt):
    """Runs Python examples, one after the other in one place; their client is closed at the end."""
    names = {}
    yield lambda text: exec(adapt(text), names) or names["response"]
    if "client" in names:
        names["client"].close()


@pytest.fixture
def gpt_4(books, provider):
    """400 tokens in and 100 out, which cost the 0.002 dollars of the seed's row."""
    if not Deployment.objects.filter(model_name="gpt-4").exists():
        make_model("gpt-4", address=provider.address, upstream_model="ok:400,100")
        make_model(
            "dear", address=provider.address, upstream_model="ok:1,100000", input="0", output="5055"
        )
    yield
    books.check()


@pytest.fixture
def tags(books, gpt_4):
    """The seed's tags, made anew."""
    for name in ("engineering", "marketing"):
        if Tag.objects.filter(name=name).exists():
            delete_tag(name, actor="test")
        make_tag(name, limit="500", duration="30d")
    time.sleep(HEARD_SECONDS)


def latest_tags(books, call):
    return TagSet.objects.get(id=books.row(call).tag_set_id).tags


def last_row(books, tag):
    books.rest()
    return books.rows(tag)[-1]


@needs_curl
def test_a_tagged_call_by_curl(books, gpt_4, curl):
    status, body = curl(TAGS_CURL)

    row = last_row(books, "AWS_IAM_PROD")
    assert status == 200
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert TagSet.objects.get(id=row.tag_set_id).tags == ["AWS_IAM_PROD", "us-east-1"]
    assert (row.cost, row.model, row.upstream_request_id) == (2_000_000, "gpt-4", body["id"])


def test_a_tagged_call_by_the_sdk(books, gpt_4, sdk):
    response = sdk(TAGS_SDK)

    row = last_row(books, "AWS_IAM_PROD")
    assert response.usage.total_tokens == 500
    assert TagSet.objects.get(id=row.tag_set_id).tags == ["AWS_IAM_PROD", "us-east-1"]
    assert (row.cost, row.upstream_request_id) == (2_000_000, response.id)


@needs_curl
def test_a_keys_default_tags_by_curl(server, books, gpt_4, curl):
    status, body = curl(KEY_CURL)

    call = BUDGET_CURL.replace("sk-1234", body["key"]).replace('"tags": ["engineering"]', "")
    answered, _ = curl(call)
    key = APIKey.objects.get(id=body["key_id"])
    books.rest()
    row = books.rows("team-backend")[-1]
    assert (status, answered) == (200, 200)
    assert body["metadata"] == {"tags": ["AWS_IAM_PROD", "team-backend"]}
    assert (row.key_id, row.key_alias) == (key.id, key.alias)
    assert TagSet.objects.get(id=row.tag_set_id).tags == ["AWS_IAM_PROD", "team-backend"]


@needs_curl
def test_a_tag_is_created_by_curl_and_counts_at_once(books, tags, curl):
    delete_tag("engineering", actor="test")

    status, body = curl(NEW_CURL)

    time.sleep(HEARD_SECONDS)
    assert (status, body["name"], body["max_budget"]) == (200, "engineering", 500.0)
    assert curl(BUDGET_CURL)[0] == 200
    books.rest()
    assert books.spent(Tag.objects.get(name="engineering")) == 2_000_000


@needs_curl
def test_a_budgeted_call_by_curl(books, tags, curl):
    status, _ = curl(BUDGET_CURL)

    books.rest()
    assert status == 200
    assert books.spent(Tag.objects.get(name="engineering")) == 2_000_000
    assert curl(INFO_CURL)[1]["engineering"]["spend"] == 0.002


def test_a_budgeted_call_by_the_sdk(books, tags, sdk):
    response = sdk(BUDGET_SDK)

    books.rest()
    assert response.choices[0].finish_reason == "stop"
    assert books.spent(Tag.objects.get(name="engineering")) == 2_000_000


@needs_curl
def test_several_tags_by_curl(books, tags, curl):
    status, _ = curl(SEVERAL_CURL)

    row = last_row(books, "customer-acme")
    assert status == 200
    assert TagSet.objects.get(id=row.tag_set_id).tags == SEVERAL


def test_several_tags_by_the_sdk(books, tags, sdk):
    sdk(BUDGET_SDK)
    sdk(SEVERAL_SDK)

    row = last_row(books, "customer-acme")
    assert TagSet.objects.get(id=row.tag_set_id).tags == SEVERAL
    assert books.spent(Tag.objects.get(name="engineering")) == 4_000_000


@pytest.fixture
def exhausted(books, tags, server, master_key):
    """505.50 dollars spent of 500."""
    import urllib.request

    body = {"model": "dear", "messages": [], "metadata": {"tags": ["engineering"]}}
    request = urllib.request.Request(
        f"{server.url}/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {master_key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    books.rest()


@needs_curl
def test_the_budget_is_exceeded_by_curl(books, exhausted, curl):
    status, body = curl(BUDGET_CURL)

    assert status == 400
    assert body["error"] == json.loads(EXCEEDED)["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert (body["budget"]["tag"], body["budget"]["spent"]) == ("engineering", 505.5)
    assert curl(INFO_CURL)[1]["engineering"]["spend"] == 505.5


@needs_curl
def test_any_tag_that_is_exceeded_refuses_the_call(books, exhausted, curl):
    status, body = curl(SEVERAL_CURL)

    assert (status, body["error"]) == (400, json.loads(EXCEEDED)["error"])


def test_the_budget_is_exceeded_by_the_sdk(books, exhausted, sdk):
    import openai

    with pytest.raises(openai.BadRequestError) as refusal:
        sdk(BUDGET_SDK)

    assert refusal.value.status_code == 400
    assert refusal.value.body == json.loads(EXCEEDED)["error"]
