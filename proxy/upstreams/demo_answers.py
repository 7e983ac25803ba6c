"""What the demo's provider says: the same answer to the same question, and what it used."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHOICES_MAX = 8
DIMENSIONS = 256
CREATED = 1_760_140_800


@dataclass(frozen=True, slots=True)
class Model:
    """How fast a model is, and how much it thinks before it answers."""

    name: str
    first_seconds: float
    token_seconds: float
    reasoning_tokens: int = 0
    sentences: int = 2


MODELS = {
    model.name: model
    for model in (
        Model("demo-fast", first_seconds=0.04, token_seconds=0.003),
        Model(
            "demo-smart", first_seconds=0.12, token_seconds=0.006, reasoning_tokens=48, sentences=4
        ),
    )
}
EMBEDDINGS = "demo-embedding"

OPENINGS = (
    "Here is the short answer.",
    "Good question.",
    "In one word: yes.",
    "That depends on what you need.",
)
SENTENCES = (
    "A tag is a label on a request, and its budget is a promise about money.",
    "Each call is held against every budget before it is sent.",
    "When the window ends a new one opens, and nothing is lost from the old one.",
    "Small answers cost little; this one was made up on your own machine.",
    "Measure first, then decide what to change.",
    "The number on the page is the number that the check reads.",
    "Whoever asks twice pays twice, so ask well.",
    "A limit that can be passed is only a wish.",
)

_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")


@dataclass(frozen=True, slots=True)
class Chat:
    """A request for an answer, as far as it matters here."""

    model: Model
    prompt: str
    prompt_tokens: int
    output_tokens_max: int
    choices: int
    stream: bool
    tells_usage: bool

    @property
    def id(self) -> str:
        return f"chatcmpl-{_digest(self.prompt)[:24]}"


@dataclass(frozen=True, slots=True)
class Text:
    """An answer in pieces, each of them one token, and whether it had to stop early."""

    pieces: Sequence[str]
    reasoning_tokens: int
    was_cut: bool

    @property
    def tokens(self) -> int:
        return len(self.pieces) + self.reasoning_tokens

    @property
    def finish_reason(self) -> str:
        return "length" if self.was_cut else "stop"


class BadRequest(Exception):
    """What OpenAI would refuse."""

    def __init__(self, status: int, text: str, param: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.param = param


# -- chat ----------------------------------------------------------------------------------------


def read_chat(body: Mapping[str, Any]) -> Chat:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest(400, "'messages' must be a list with at least one message.", "messages")
    texts = [_text_of(message) for message in messages]
    caps = [_count(body, name) for name in ("max_tokens", "max_completion_tokens")]
    options = body.get("stream_options")
    return Chat(
        model=_find(body, MODELS),
        prompt="\n".join(texts),
        prompt_tokens=3 + sum(4 + count_tokens(text) for text in texts),
        output_tokens_max=min((cap for cap in caps if cap), default=4_096),
        choices=min(_count(body, "n") or 1, CHOICES_MAX),
        stream=body.get("stream") is True,
        tells_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def write_text(chat: Chat, choice: int) -> Text:
    """The same for the same prompt and choice; reasoning counts towards the maximum first."""
    seed = int(_digest(f"{choice}\n{chat.prompt}")[:12], 16)
    chosen = [OPENINGS[seed % len(OPENINGS)]]
    chosen += [SENTENCES[(seed // 7 + n) % len(SENTENCES)] for n in range(chat.model.sentences)]
    pieces = _PIECE.findall(" ".join(chosen))
    reasoning = min(chat.model.reasoning_tokens, chat.output_tokens_max)
    left = chat.output_tokens_max - reasoning
    return Text(pieces[:left], reasoning, was_cut=len(pieces) > left)


def usage_of(chat: Chat, texts: Sequence[Text]) -> dict[str, Any]:
    completion = sum(text.tokens for text in texts)
    return {
        "prompt_tokens": chat.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": chat.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(text.reasoning_tokens for text in texts),
            "audio_tokens": 0,
        },
    }


def embed(body: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("model") != EMBEDDINGS:
        raise BadRequest(404, f"The model '{body.get('model')}' does not exist.", "model")
    given = body.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(x, str) for x in inputs):
        raise BadRequest(400, "'input' must be a text or a list of texts.", "input")
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text)}
        for index, text in enumerate(inputs)
    ]
    tokens = sum(count_tokens(text) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": EMBEDDINGS, "usage": usage}


def _vector(text: str) -> list[float]:
    stretched = hashlib.shake_128(text.encode("utf-8", "replace")).digest(DIMENSIONS)
    return [round((byte - 127.5) / 127.5, 6) for byte in stretched]


def list_models() -> dict[str, Any]:
    models = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "demo"}
        for name in (*MODELS, EMBEDDINGS)
    ]
    return {"object": "list", "data": models}


# -- reading -------------------------------------------------------------------------------------


def count_tokens(text: str) -> int:
    """About what a tokenizer would say: a word is one token per six letters."""
    return max(1, sum(1 for _ in _PIECE.finditer(text)))


def _find(body: Mapping[str, Any], models: Mapping[str, Model]) -> Model:
    name = body.get("model")
    if not isinstance(name, str) or name not in models:
        raise BadRequest(404, f"The model '{name}' does not exist.", "model")
    return models[name]


def _count(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise BadRequest(400, f"'{name}' must be a whole number of at least 1.", name)
    return value


def _text_of(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
