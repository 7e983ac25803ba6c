"""Call: one client request, its body parsed once and within bounds; frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from proxy.errors import bad_request
from proxy.key_cards import KeyCard
from proxy.sound_length import Length
from proxy.upload import Upload
from proxy.wire import parse_object

if TYPE_CHECKING:
    from proxy.endpoints import Endpoint

DEPTH_MAX = 64
MODEL_CHARACTERS_MAX = 255
LABEL_CHARACTERS_MAX = 256
METADATA_BYTES_MAX = 4096
DIGITS = bytes(character in b"0123456789" for character in range(256))
LONG_NUMBER = b"\1" * 20  # so many digits in a row may be a number beyond 64 bits
OUTPUT_TOKENS_MAX = 10**9
CHOICES_MAX = 1_000

# A caller who could choose these would choose where our credentials go.
REFUSED = (
    "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "extra_headers",
    "model_list", "mock_response",
)  # fmt: skip
OUTPUT_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
CLIENT_IDS = ("x-request-id", "x-litellm-call-id", "x-litellm-trace-id")


@dataclass(frozen=True, slots=True)
class Call:
    id: UUID
    endpoint: "Endpoint"
    key: KeyCard
    model: str
    stream: bool
    body: Mapping[str, Any]
    raw: bytes
    headers: Mapping[str, str]
    address: str | None
    output_tokens_asked: int | None
    choices: int
    upload: Upload | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether the client asked for the usage chunk of its stream."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def sound(self) -> Length:
        """How long the sound is that came with it."""
        return Length(0) if self.upload is None else self.upload.length

    def close(self) -> None:
        """Nobody sends it any more."""
        if self.upload is not None:
            self.upload.close()

    @property
    def client_request_id(self) -> str | None:
        for name in CLIENT_IDS:
            if value := self.headers.get(name):
                return label(value)
        return None

    @property
    def session_id(self) -> str | None:
        found = self.headers.get("x-litellm-session-id") or self.metadata.get("session_id")
        return label(found) if isinstance(found, str) else None

    @property
    def end_user(self) -> str | None:
        user = self.body.get("user")
        return label(user) if isinstance(user, str) else None

    @property
    def metadata(self) -> Mapping[str, Any]:
        metadata = self.body.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    def logged_metadata(self) -> Mapping[str, Any] | None:
        """What the log keeps of the client's metadata: all but the tags, if it is small."""
        kept = {name: value for name, value in self.metadata.items() if name != "tags"}
        if not kept:
            return None
        written = orjson.dumps(kept)
        if len(written) > METADATA_BYTES_MAX:
            return {"left_out": "larger than 4 KiB"}
        return None if b"\\u0000" in written else kept


def label(text: str) -> str:
    """A text that a column can keep: no NUL, of bounded length."""
    return text.replace("\0", "")[:LABEL_CHARACTERS_MAX]


def parse_body(raw: bytes) -> Mapping[str, Any]:
    """The body as an object. Raises Failure `invalid_json`, or DRF's ParseError for the same."""
    if not raw:
        raise bad_request("invalid_json", "The body is empty; it must be a JSON object.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad_request("invalid_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise bad_request("invalid_json", "The body must be a JSON object.")
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and depth_of(body) > DEPTH_MAX:
        raise bad_request("invalid_json", f"The body is nested deeper than {DEPTH_MAX} levels.")
    if LONG_NUMBER in raw.translate(DIGITS):  # which would be rounded without a word
        parse_object(raw)
    return body


def read_call(
    *,
    call_id: UUID,
    endpoint: "Endpoint",
    key: KeyCard,
    raw: bytes,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    address: str | None,
    model_in_path: str | None = None,
    upload: Upload | None = None,
) -> Call:
    """Raises Failure `invalid_parameter` or `unsupported_parameter`, naming the member."""
    if not raw:  # DRF parses nothing then
        raise bad_request("invalid_json", "The body is empty; it must be a JSON object.")
    for name in REFUSED:
        if name in body:
            raise bad_request("unsupported_parameter", f"'{name}' cannot be set by a call.", name)
    for name in ("metadata", "litellm_metadata", "stream_options"):
        if not isinstance(body.get(name), Mapping | None):
            raise bad_request("invalid_parameter", f"'{name}' must be an object.", name)
    if endpoint.check is not None:
        endpoint.check(body)
    asked = [
        found
        for name in OUTPUT_FIELDS
        if (found := read_count(body, name, at_most=OUTPUT_TOKENS_MAX)) is not None
    ]
    return Call(
        id=call_id,
        endpoint=endpoint,
        key=key,
        model=read_model(body, model_in_path),
        stream=endpoint.is_stream(body),
        body=body,
        raw=raw,
        headers=headers,
        address=address,
        output_tokens_asked=max(asked, default=None),
        choices=read_count(body, "n", at_most=CHOICES_MAX) or 1,
        upload=upload,
    )


def read_model(body: Mapping[str, Any], model_in_path: str | None) -> str:
    model = model_in_path or body.get("model")
    if not isinstance(model, str) or not 1 <= len(model) <= MODEL_CHARACTERS_MAX or "\0" in model:
        raise bad_request("invalid_parameter", "'model' must be the name of a model.", "model")
    return model


def read_flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad_request("invalid_parameter", f"'{name}' must be true or false.", name)
    return bool(value)


def read_count(body: Mapping[str, Any], name: str, *, at_most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= at_most:
        text = f"'{name}' must be a whole number from 1 to {at_most}."
        raise bad_request("invalid_parameter", text, name)
    return value


def depth_of(body: Any) -> int:
    """How deep containers are nested; without recursion, which a hostile body would exhaust."""
    depth = 0
    level: Sequence[Any] = [body]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return depth
