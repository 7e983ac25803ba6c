"""The wire contract's table of errors: every row is produced, with its type, field and headers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from proxy import incoming, journey
from proxy.upstreams.contract import Silent, Unsent
from spend.errors import BudgetUnavailable
from tests.conftest import client_of
from tests.factories import make_key, make_model, make_pot, make_tag, unique
from tests.fakes import Reply, json_reply
from tests.proxy.driver import Gateway, chat

CLOSE = {"connection": "close"}
BEARER = {"www-authenticate": "Bearer"}
NO_RETRY = {"x-should-retry": "false"}


@dataclass
class Bench:
    """What a row may need: calls, the provider, settings, and the management API."""

    gateway: Gateway
    upstream: Any
    settings: Any
    monkeypatch: Any
    key: Any
    model: Any

    def chat(self, *, key: Any = None, model: Any = None, headers: Any = (), **members: Any) -> Any:
        return self.gateway.chat(
            model or self.model, key=key or self.key, headers=headers, **members
        )

    def raw(self, body: bytes, **options: Any) -> Any:
        return self.gateway.call("POST", "/v1/chat/completions", key=self.key, body=body, **options)

    def manage(self, path: str, body: Any = None, *, secret: str | None = None) -> Any:
        client = client_of(secret or self.settings.MASTER_KEY)
        return client.post(path, body) if body is not None else client.get(path)

    def answering(self, reply: Reply) -> Any:
        self.upstream.reply(reply)
        return self.chat(num_retries=0)


@pytest.fixture
def bench(gateway, upstream, settings, monkeypatch, key, model):
    return Bench(gateway, upstream, settings, monkeypatch, key, model)


# -- what goes wrong -----------------------------------------------------------------------------


def too_deep(bench):
    return bench.raw(b'{"a":' + b"[" * 70 + b"]" * 70 + b"}")


def too_many_tags(bench):
    return bench.chat(tags=[f"t{n}" for n in range(21)])


def unknown_tag(bench):
    bench.settings.UNKNOWN_TAGS = "reject"
    return bench.chat(tags=[unique("nobody")])


def client_tags(bench):
    bench.settings.REJECT_CLIENT_TAGS = True
    return bench.chat(tags=["a"])


def missing_tag(bench):
    return bench.chat(key=make_key(columns={"required_tags": ["team-*"]}))


def other_protocol(bench):
    terms = {"provider": "anthropic", "address": "https://api.anthropic.com"}
    return bench.chat(model=make_model(**terms))


def unpriced(bench):
    return bench.chat(model=make_model(input=None, output=None))


def unbounded(bench):
    content = [{"type": "file", "file": {"file_id": "file-1"}}]
    tag = make_tag(limit="1", mode="strict")
    return bench.chat(tags=[tag], messages=[{"role": "user", "content": content}])


def over_budget(status: int) -> Callable[[Bench], Any]:
    def refuse(bench):
        bench.settings.BUDGET_EXCEEDED_STATUS = status
        return bench.chat(tags=[make_tag(limit="0", duration="30d")])

    return refuse


def no_key(bench):
    return bench.gateway.call("POST", "/v1/chat/completions", body=chat(bench.model))


def expired(bench):
    return bench.chat(key=make_key(columns={"expires_at": timezone.now() - timedelta(days=1)}))


def blocked_key(bench):
    return bench.chat(key=make_key(columns={"blocked": True}))


def other_models_of_key(bench):
    return bench.chat(key=make_key(columns={"allowed_models": ["other"]}))


def other_models_of_tag(bench):
    return bench.chat(tags=[make_tag(columns={"allowed_models": ["other"]})])


def other_tags(bench):
    return bench.chat(key=make_key(columns={"allowed_tags": ["team-*"]}), tags=["a"])


def blocked_tag(bench):
    return bench.chat(tags=[make_tag(columns={"blocked": True})])


def no_deployment(bench):
    bench.settings.TAG_ROUTING = "all"
    name = unique("routed")
    for tag in ("paid", "free"):
        make_model(name, tags=[tag])
    return bench.chat(model=name, tags=["paid", "free"])


def slow_body(bench):
    bench.monkeypatch.setattr(incoming, "BODY_SECONDS_MAX", 0.05)
    return bench.raw(b"{}", slices=2, stalls_after=1)


def large_body(bench):
    return bench.raw(b"{}", headers={"content-length": str(20 * 1024 * 1024 + 1)})


def taken(bench):
    return bench.manage("/tag/new", {"name": make_tag().name})


def in_use(bench):
    pot = make_pot()
    make_tag(pots=[pot])
    return bench.manage("/budget/delete", {"id": pot.public_id})


def rate_limited(bench):
    tag = make_tag(columns={"rpm_limit": 1})
    bench.chat(tags=[tag])
    return bench.chat(tags=[tag])


def our_fault(bench):
    bench.monkeypatch.setattr(journey, "estimate_of", lambda *of: 1 // 0)
    return bench.chat()


def no_ledger(bench):
    async def reserve(*of, **named):
        raise BudgetUnavailable

    bench.monkeypatch.setattr(type(bench.gateway.worker.ledger), "reserve", reserve)
    return bench.chat()


def all_cooling(bench):
    model = make_model(max_retries=0)
    bench.upstream.reply(refusal(500))
    return [bench.chat(model=model) for _ in range(4)][-1]


def refusal(status: int, **headers: str) -> Reply:
    error = {"message": "No.", "type": "their_error", "param": "theirs", "code": "their_code"}
    return json_reply({"error": error}, status=status, headers=headers)


# -- the table -----------------------------------------------------------------------------------

Row = tuple[Callable[[Bench], Any], int, str, str | None, Mapping[str, str | None]]
TABLE: dict[str, Row] = {
    "not JSON": (lambda b: b.raw(b"{"), 400, "invalid_json", None, {}),
    "NaN": (lambda b: b.raw(b'{"model": NaN}'), 400, "invalid_json", None, {}),
    "too deep": (too_deep, 400, "invalid_json", None, {}),
    "bad value": (lambda b: b.chat(n=0), 400, "invalid_parameter", "n", {}),
    "refused member": (
        lambda b: b.chat(api_base="http://x"), 400, "unsupported_parameter", "api_base", {},
    ),
    "a field that we lack": (
        lambda b: b.manage("/tag/new", {"name": "a", "team_id": "x"}), 400, "unsupported_field",
        "team_id", {},
    ),
    "no such field": (
        lambda b: b.manage("/tag/new", {"name": "a", "nonsense": 1}), 400, "unknown_field",
        "nonsense", {},
    ),
    "provider not known": (
        lambda b: b.manage(
            "/model/new", {"model_name": "m", "litellm_params": {"model": "bedrock/x"}}
        ), 400, "unsupported_provider", "litellm_params.model", {},
    ),
    "malformed tag": (
        lambda b: b.chat(metadata={"tags": ["a", 5]}), 400, "invalid_tag", "metadata.tags[1]", {},
    ),
    "too many tags": (too_many_tags, 400, "too_many_tags", "metadata.tags", {}),
    "unknown tag": (unknown_tag, 400, "unknown_tag", "metadata.tags", {}),
    "client tags": (client_tags, 400, "client_tags_rejected", "metadata.tags", {}),
    "missing tag": (missing_tag, 400, "missing_required_tag", "metadata.tags", {}),
    "other protocol": (other_protocol, 400, "unsupported_endpoint", "model", {}),
    "no price": (unpriced, 400, "model_not_priced", "model", {}),
    "no bound": (unbounded, 400, "cost_not_bounded", "messages[0].content", {}),
    "over budget": (
        over_budget(400), 400, "budget_exceeded", None,
        {**NO_RETRY, "x-tollgate-budget-limit": "0.0", "retry-after": None},
    ),
    "over budget, 402": (over_budget(402), 402, "budget_exceeded", None, NO_RETRY),
    "over budget, 422": (over_budget(422), 422, "budget_exceeded", None, NO_RETRY),
    "over budget, 429": (over_budget(429), 429, "budget_exceeded", None, NO_RETRY),
    "no key": (no_key, 401, "auth_error", None, BEARER),
    "malformed key": (lambda b: b.chat(key="nonsense"), 401, "auth_error", None, BEARER),
    "unknown key": (lambda b: b.chat(key="sk-" + "a" * 43), 401, "auth_error", None, BEARER),
    "expired key": (expired, 401, "expired_key", None, BEARER),
    "blocked key": (blocked_key, 401, "key_blocked", None, BEARER),
    "virtual key": (
        lambda b: b.manage("/tag/new", {"name": "a"}, secret=b.key.secret), 403,
        "permission_denied", None, {},
    ),
    "model not for key": (other_models_of_key, 403, "key_model_access_denied", "model", {}),
    "model not for tag": (other_models_of_tag, 403, "tag_model_access_denied", "model", {}),
    "tag not for key": (other_tags, 403, "tag_not_allowed", "metadata.tags", {}),
    "blocked tag": (blocked_tag, 403, "tag_blocked", "metadata.tags", {}),
    "no deployment": (no_deployment, 403, "no_deployment_for_tags", "metadata.tags", {}),
    "unknown model": (lambda b: b.chat(model="gpt-9"), 404, "model_not_found", "model", {}),
    "unknown row": (lambda b: b.manage("/spend/logs/nobody"), 404, "not_found", "id", {}),
    "no such tag": (
        lambda b: b.manage("/tag/delete", {"name": "nobody"}), 404, "not_found", "name", {},
    ),
    "no such key": (lambda b: b.manage("/key/info?key=sk-x"), 404, "not_found", "key", {}),
    "no such path": (
        lambda b: b.gateway.call("POST", "/v1/batches", key=b.key, body={}), 404, "not_found",
        None, {},
    ),
    "no such page": (lambda b: b.manage("/nowhere"), 404, "not_found", None, {}),
    "wrong method": (
        lambda b: b.gateway.call("GET", "/v1/chat/completions", key=b.key), 405,
        "method_not_allowed", None, {"allow": "POST"},
    ),
    "slow body": (slow_body, 408, "request_timeout", None, CLOSE),
    "large body": (large_body, 413, "request_too_large", None, CLOSE),
    "wrong type": (
        lambda b: b.raw(b"a=b", headers={"content-type": "text/plain"}), 415,
        "unsupported_media_type", None, CLOSE,
    ),
    "wrong encoding": (
        lambda b: b.raw(b"{}", headers={"content-encoding": "gzip"}), 415,
        "unsupported_media_type", None, CLOSE,
    ),
    "name taken": (taken, 409, "already_exists", "name", {}),
    "in use": (in_use, 409, "in_use", "id", {}),
    "rate limit": (
        rate_limited, 429, "rate_limit_error", None,
        {"retry-after": ..., "x-ratelimit-limit-requests": "1",
         "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": ...},
    ),
    "our fault": (our_fault, 500, "internal_error", None, {}),
    "unreachable": (
        lambda b: b.answering(Reply(before=[Unsent("no")])), 502, "upstream_error", None,
        {"x-tollgate-error-source": "upstream"},
    ),
    "bad answer": (
        lambda b: b.answering(Reply(200, {"content-type": "text/html"}, [b"<p>"])), 502,
        "upstream_error", None, {},
    ),
    "provider key": (
        lambda b: b.answering(refusal(401)), 502, "upstream_auth_error", None, {},
    ),
    "no ledger": (no_ledger, 503, "budget_unavailable", None, {"retry-after": "1"}),
    "all cooling": (all_cooling, 503, "no_healthy_deployment", None, {"retry-after": "5"}),
    "silent": (
        lambda b: b.answering(Reply(before=[Silent("no")])), 504, "upstream_timeout", None,
        NO_RETRY,
    ),
    "as sent": (
        lambda b: b.answering(refusal(422, **{"retry-after": "7"})), 422, "their_error", "theirs",
        {"retry-after": "7", "x-tollgate-error-source": "upstream"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("cause", TABLE)
def test_each_row_is_as_the_table_says(bench, cause):
    make, status, type_, param, headers = TABLE[cause]

    answer = make(bench)

    found = getattr(answer, "status", None) or answer.status_code
    body = answer.json()
    error = body["error"]
    assert (found, error["type"], error["param"]) == (status, type_, param)
    assert error["code"] == ("their_code" if cause == "as sent" else str(status))
    assert isinstance(error["message"], str)
    told = {name.lower(): value for name, value in answer.headers.items()}
    for name, value in headers.items():
        assert (told.get(name) is not None) if value is ... else told.get(name) == value, name
    if hasattr(answer, "status_code"):
        assert body["detail"] == error["message"]
    else:
        assert answer.headers["x-tollgate-error-source"] in ("gateway", "upstream")
        assert answer.headers["x-request-id"] == answer.headers["x-litellm-call-id"]


def test_one_that_shuts_down_says_when_to_come_back(open_gateway, upstream, key, model):
    gateway = open_gateway(upstream)
    gateway.hear()
    gateway.worker.is_closing = True
    try:
        answer = gateway.chat(model, key=key)
    finally:
        gateway.worker.is_closing = False

    assert (answer.status, answer.error["type"]) == (503, "shutting_down")
    assert answer.headers["retry-after"] == "1"
