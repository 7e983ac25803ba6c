"""OpenAPI of the gateway: its paths are not Django's, so what they take and answer is told here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.openapi_errors import ON_CALLS, error_responses

GROUP = "Calls"
SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"x-api-key": []}]
TAGGED = {"metadata": {"tags": ["engineering"]}}
HELLO = [{"role": "user", "content": "Hello"}]
USAGE = {"prompt_tokens": 12, "completion_tokens": 18, "total_tokens": 30}
STREAMED = " With `stream: true` the answer is an event stream."
HEADERS = {
    "x-request-id": "Our id of the call; its row in the log has it.",
    "x-litellm-response-cost": "US dollars, where the cost is known before the answer leaves.",
    "x-tollgate-tags": "What the call was charged to, comma-separated.",
    "x-tollgate-budgets": "The budgets that it drew on, the tightest first.",
}


@dataclass(frozen=True, slots=True)
class CallOperation:
    """A path of calls. `members` are those that the gateway itself reads, beside `model`."""

    path: str
    name: str
    summary: str
    text: str
    request: Mapping[str, Any]
    answer: Any
    members: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ("model",)
    streams: bool = False
    answers_in: str = "application/json"
    takes_file: bool = False

    @property
    def operation(self) -> dict[str, Any]:
        described = f"{self.text}{STREAMED if self.streams else ''}"
        return {
            "operationId": self.name,
            "summary": self.summary,
            "description": described,
            "tags": [GROUP],
            "security": SECURITY,
            "requestBody": {"required": True, "content": self._request_content()},
            "responses": {"200": self._answered(), **error_responses(ON_CALLS)},
        }

    def _request_content(self) -> dict[str, Any]:
        kind = "multipart/form-data" if self.takes_file else "application/json"
        schema = {
            "type": "object",
            "required": list(self.required),
            "properties": {**_COMMON, **self.members},
            "additionalProperties": True,
        }
        return {kind: {"schema": schema, "example": dict(self.request)}}

    def _answered(self) -> dict[str, Any]:
        is_json = self.answers_in == "application/json"
        schema = {"type": "object"} if is_json else {"type": "string", "format": "binary"}
        content: dict[str, Any] = {self.answers_in: {"schema": schema}}
        if is_json:
            content[self.answers_in]["example"] = self.answer
        if self.streams:
            content["text/event-stream"] = {}
        return {"description": "The upstream's answer.", "headers": _headers(), "content": content}


def _headers() -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }


def _member(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": text, **more}


_COMMON: dict[str, Any] = {
    "model": _member("string", "A model that the key and the tags may use.", maxLength=255),
    "metadata": _member(
        "object",
        "`tags`, a list of texts or one text, is what the call is charged to; the rest is logged.",
        nullable=True,
        properties={"tags": {"type": "array", "items": {"type": "string", "maxLength": 128}}},
        additionalProperties=True,
    ),
    "user": _member("string", "Logged as `end_user`."),
    "num_retries": _member("integer", "Fewer attempts than are configured.", minimum=0),
    "timeout": _member("number", "Seconds; less than is configured."),
    "fallbacks": _member(
        "array", "Models to try when this one fails.", items={"type": "string"}, maxItems=5
    ),
    "disable_fallbacks": _member("boolean", "Try no other model."),
}
_STREAM = {"stream": _member("boolean", "Answer in events.", nullable=True)}
_TOKENS = _member("integer", "At most so many tokens come out.", minimum=1, nullable=True)
_COUNT = {"n": _member("integer", "So many answers.", minimum=1, nullable=True)}

OPERATIONS = (
    CallOperation(
        "/v1/chat/completions", "chat_completions", "Answer a chat",
        "A call in OpenAI's form, for any OpenAI-compatible deployment. It is charged to the tags"
        " of `metadata.tags`, of the header `x-litellm-tags` and of the key, and refused when one"
        " of their budgets is used up.",
        {"model": "demo-fast", "messages": HELLO, **TAGGED},
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "demo-fast", "usage": USAGE,
         "choices": [{"index": 0, "finish_reason": "stop",
                      "message": {"role": "assistant", "content": "Hello!"}}]},
        {"messages": {"type": "array", "items": {"type": "object"}}, **_STREAM, **_COUNT,
         "max_tokens": _TOKENS, "max_completion_tokens": _TOKENS},
        ("model", "messages"), streams=True,
    ),
    CallOperation(
        "/v1/responses", "responses", "Answer in OpenAI's newer form",
        "Built-in tools are counted and billed. `background: true` is refused: its cost would"
        " arrive after the answer. With `previous_response_id` the call goes to the deployment"
        " that made that response.",
        {"model": "demo-fast", "input": "Hello", **TAGGED},
        {"id": "resp_1", "object": "response", "status": "completed", "model": "demo-fast",
         "output": [], "usage": {"input_tokens": 12, "output_tokens": 18, "total_tokens": 30}},
        {"input": {}, **_STREAM, "max_output_tokens": _TOKENS,
         "previous_response_id": _member("string", "An earlier response.", nullable=True)},
        streams=True,
    ),
    CallOperation(
        "/v1/messages", "messages", "Answer in Anthropic's form",
        "For deployments that speak it; nothing is translated. Failures have Anthropic's members"
        " too: `type` and `request_id`.",
        {"model": "claude-sonnet", "max_tokens": 256, "messages": HELLO, **TAGGED},
        {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn",
         "content": [{"type": "text", "text": "Hello!"}],
         "usage": {"input_tokens": 12, "output_tokens": 18}},
        {"messages": {"type": "array", "items": {"type": "object"}}, **_STREAM,
         "max_tokens": _TOKENS},
        ("model", "messages", "max_tokens"), streams=True,
    ),
    CallOperation(
        "/v1/messages/count_tokens", "count_tokens", "Count the tokens of a message",
        "A call like any other, at the price 0.",
        {"model": "claude-sonnet", "messages": HELLO}, {"input_tokens": 12},
        {"messages": {"type": "array", "items": {"type": "object"}}}, ("model", "messages"),
    ),
    CallOperation(
        "/v1/completions", "completions", "Complete a text",
        "`n` and `best_of` multiply what is held.",
        {"model": "demo-fast", "prompt": "Once upon a time", **TAGGED},
        {"id": "cmpl-1", "object": "text_completion", "model": "demo-fast", "usage": USAGE,
         "choices": [{"index": 0, "text": " there was", "finish_reason": "stop"}]},
        {"prompt": {}, **_STREAM, **_COUNT, "max_tokens": _TOKENS,
         "best_of": _member("integer", "So many are made, and billed.", minimum=1, nullable=True)},
        streams=True,
    ),
    CallOperation(
        "/v1/embeddings", "embeddings", "Embed texts", "Billed by the tokens that go in.",
        {"model": "text-embedding-3-small", "input": ["Hello"], **TAGGED},
        {"object": "list", "model": "text-embedding-3-small",
         "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
         "usage": {"prompt_tokens": 2, "total_tokens": 2}},
        {"input": {}}, ("model", "input"),
    ),
    CallOperation(
        "/v1/images/generations", "images", "Make images",
        "Billed by tokens where the upstream tells them and they have a price, else by images of"
        " that size and quality.",
        {"model": "gpt-image-1", "prompt": "A toll gate at dawn", "size": "1024x1024", **TAGGED},
        {"created": 1760140800, "data": [{"b64_json": "aGVsbG8="}]},
        {"prompt": {"type": "string"}, **_STREAM, **_COUNT}, streams=True,
    ),
    CallOperation(
        "/v1/audio/speech", "speech", "Speak a text",
        "Billed by characters, or by tokens where only those have a price. The answer is sound;"
        " `stream_format: sse` asks for events.",
        {"model": "tts-1", "input": "Hello", "voice": "alloy", **TAGGED}, None,
        {"input": {"type": "string"}, "stream_format": {"type": "string", "nullable": True}},
        ("model", "input"), streams=True, answers_in="audio/mpeg",
    ),
    CallOperation(
        "/v1/audio/transcriptions", "transcriptions", "Write down what is said",
        "A form with the sound as `file`. `metadata` is the JSON text of an object, or taken apart"
        " as `metadata[tags][]`. Billed by tokens or seconds, as the upstream tells them; else by"
        " the length in the file's head.",
        {"model": "whisper-1", "file": "(sound)", "metadata": '{"tags": ["engineering"]}'},
        {"text": "Hello!", "usage": {"type": "duration", "seconds": 2}},
        {"file": {"type": "string", "format": "binary"},
         "metadata": _member("string", "The JSON text of an object."),
         "response_format": {"type": "string"},
         "stream": _member("string", "Answer in events.", enum=["true", "false"])},
        ("model", "file"), streams=True, takes_file=True,
    ),
    CallOperation(
        "/v1/moderations", "moderations", "Judge a text", "Free, unless the model has a price.",
        {"model": "omni-moderation-latest", "input": "Hello", **TAGGED},
        {"id": "modr-1", "model": "omni-moderation-latest", "results": [{"flagged": False}]},
        {"input": {}}, ("model", "input"),
    ),
    CallOperation(
        "/v1/rerank", "rerank", "Order documents by a query",
        "Billed by searches or by tokens. Also at `/v2/rerank`.",
        {"model": "rerank-v3.5", "query": "tolls", "documents": ["a gate", "a road"], **TAGGED},
        {"id": "rr-1", "results": [{"index": 0, "relevance_score": 0.9}],
         "meta": {"billed_units": {"search_units": 1}}},
        {"query": {"type": "string"}, "documents": {"type": "array", "items": {}, "minItems": 1}},
        ("model", "query", "documents"),
    ),
)  # fmt: skip

MODEL = {"id": "demo-fast", "object": "model", "created": 1760140800, "owned_by": "openai"}
MODEL_NAME = {"in": "path", "name": "model", "required": True, "schema": {"type": "string"}}


def gateway_paths() -> dict[str, Any]:
    calls = {told.path: {"post": told.operation} for told in OPERATIONS}
    return {
        **calls,
        "/v1/models": {
            "get": _lookup(
                "models", "List models", "Those that the key may use; wildcards are not listed.",
                {"object": "list", "data": [MODEL]}, (),
            )
        },
        "/v1/models/{model}": {
            "get": _lookup(
                "model", "Look up a model", "One behind a wildcard is found too.",
                MODEL, ("404",), parameters=[MODEL_NAME],
            )
        },
    }  # fmt: skip


def _lookup(
    name: str, summary: str, text: str, example: Any, statuses: tuple[str, ...], **more: Any
) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    found = {"description": "What was found.", "content": content}
    return {
        "operationId": name,
        "summary": summary,
        "description": text,
        "tags": [GROUP],
        "security": SECURITY,
        "responses": {"200": found, **error_responses(("401", *statuses))},
        **more,
    }
