"""Usage: tokens and other units by kind, frozen, additive.

The kinds do not overlap: a token is in one field only, so a cost is a plain sum of units x rates.
Providers report parts inside a whole; the readers below take them apart.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

# A count beyond this is a provider's mistake, and would overflow the ledger at some price.
COUNT_MAX = 1_000_000_000

Counts = tuple[tuple[str, int], ...]  # name and count, sorted by name

INPUT_KINDS = ("input", "cached_input", "cache_write", "cache_write_1h", "audio_input")
OUTPUT_KINDS = ("output", "reasoning", "audio_output", "image_output")
NAMED_KINDS = ("images", "tools")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt used, or several together.

    `input` and `output` hold only those tokens that no other kind of their side counts; the whole
    sides are `input_total` and `output_total`. `images` counts made images by size and quality
    ("1024x1024/high", "" if not known), `tools` the tool calls that the provider ran and bills.
    Sound is in milliseconds. `requests` stays 0 for one attempt; sums may tell how many there were.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    images: Counts = ()
    input_images: int = 0
    characters: int = 0
    input_ms: int = 0
    output_ms: int = 0
    searches: int = 0
    tools: Counts = ()
    requests: int = 0

    @property
    def input_total(self) -> int:
        parts = self.cached_input + self.cache_write + self.cache_write_1h + self.audio_input
        return self.input + parts

    @property
    def output_total(self) -> int:
        return self.output + self.reasoning + self.audio_output + self.image_output

    @property
    def prompt_tokens(self) -> int:
        """As LiteLLM shows it: cached tokens are inside, whoever the provider is."""
        return self.input_total

    @property
    def completion_tokens(self) -> int:
        """As LiteLLM shows it: reasoning is inside."""
        return self.output_total

    def __add__(self, other: "Usage") -> "Usage":
        sums: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name) for name in _COUNTED
        }
        sums |= {
            name: counts([*getattr(self, name), *getattr(other, name)]) for name in NAMED_KINDS
        }
        return Usage(**sums)

    def as_json(self) -> dict[str, int | dict[str, int]]:
        """Only what is not zero, for a row: `{"input": 400, "output": 100}`."""
        found: dict[str, int | dict[str, int]] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            if value:
                found[name] = dict(value) if name in NAMED_KINDS else value
        return found

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What `as_json` wrote; names that are no longer known are an error, not a loss."""
        named = {name: counts(stored[name].items()) for name in NAMED_KINDS if name in stored}
        return cls(**{**stored, **named})

    @classmethod
    def from_openai(cls, usage: object) -> "Usage | None":
        """The `usage` of chat/completions, completions and embeddings; None if it cannot be used.

        It can be used when the prompt is counted and not 0, the completion is counted or follows
        from the total, all counts are integers in 0 .. COUNT_MAX, and no part exceeds its whole.
        """
        return _read(_openai_usage, usage)

    @classmethod
    def from_responses(cls, usage: object) -> "Usage | None":
        """The `usage` of a response object; the same rules."""
        return _read(_responses_usage, usage)

    @classmethod
    def from_anthropic(cls, usage: object) -> "Usage | None":
        """The `usage` of a message, or of `message_start` merged with the last `message_delta`.

        Cached tokens are outside `input_tokens` here, so that may be 0 when they are not.
        """
        return _read(_anthropic_usage, usage)

    @classmethod
    def from_input(cls, usage: object) -> "Usage | None":
        """The `usage` of embeddings, moderations and the like, where nothing comes out."""
        return _read(_input_usage, usage)

    @classmethod
    def from_images(cls, usage: object) -> "Usage | None":
        """The `usage` of made images: what comes out are images, but for what is told as text."""
        return _read(_image_usage, usage)

    @classmethod
    def from_speech(cls, usage: object) -> "Usage | None":
        """The `usage` of the event that ends spoken text: what comes out is sound."""
        return _read(_speech_usage, usage)

    @classmethod
    def from_transcription(cls, usage: object) -> "Usage | None":
        """The `usage` of transcribed sound: by tokens, or by seconds."""
        return _read(_transcription_usage, usage)

    @classmethod
    def from_rerank(cls, meta: object) -> "Usage | None":
        """The searches of a rerank's `meta`; None if it tells of none."""
        return _read(_search_usage, meta)


_FIELDS = tuple(field.name for field in fields(Usage))
_COUNTED = tuple(name for name in _FIELDS if name not in NAMED_KINDS)


def counts(pairs: Iterable[tuple[str, int]]) -> Counts:
    """Names with their counts, equal names added up, zeros left out, in the order of names."""
    sums: dict[str, int] = {}
    for name, count in pairs:
        sums[name] = sums.get(name, 0) + count
    return tuple(sorted((name, count) for name, count in sums.items() if count))


class _Unusable(Exception):
    """A count is missing or is none."""


def _read(reader: Callable[[Mapping[str, Any]], Usage], usage: object) -> Usage | None:
    try:
        return reader(usage) if isinstance(usage, Mapping) else None
    except _Unusable:
        return None


def _openai_usage(usage: Mapping[str, Any]) -> Usage:
    into = _members(usage, "prompt_tokens_details")
    out_of = _members(usage, "completion_tokens_details")
    prompt, completion = _sides(usage, "prompt_tokens", "completion_tokens")
    cached, written = _count(into, "cached_tokens"), _count(into, "cache_write_tokens")
    heard, spoken = _count(into, "audio_tokens"), _count(out_of, "audio_tokens")
    reasoning = _count(out_of, "reasoning_tokens")
    return Usage(
        input=_rest(prompt, cached, written, heard),
        cached_input=cached,
        cache_write=written,
        audio_input=heard,
        output=_rest(completion, reasoning, spoken),
        reasoning=reasoning,
        audio_output=spoken,
    )


def _responses_usage(usage: Mapping[str, Any]) -> Usage:
    cached = _count(_members(usage, "input_tokens_details"), "cached_tokens")
    reasoning = _count(_members(usage, "output_tokens_details"), "reasoning_tokens")
    prompt, completion = _sides(usage, "input_tokens", "output_tokens")
    return Usage(
        input=_rest(prompt, cached),
        cached_input=cached,
        output=_rest(completion, reasoning),
        reasoning=reasoning,
    )


def _anthropic_usage(usage: Mapping[str, Any]) -> Usage:
    written = _count(usage, "cache_creation_input_tokens")
    written_1h = _count(_members(usage, "cache_creation"), "ephemeral_1h_input_tokens")
    searched = _count(_members(usage, "server_tool_use"), "web_search_requests")
    read = Usage(
        input=_required(usage, "input_tokens"),
        cached_input=_count(usage, "cache_read_input_tokens"),
        cache_write=_rest(written, written_1h),
        cache_write_1h=written_1h,
        output=_required(usage, "output_tokens"),
        tools=counts([("web_search", searched)]),
    )
    if read.input_total == 0:
        raise _Unusable
    return read


def _input_usage(usage: Mapping[str, Any]) -> Usage:
    name = "prompt_tokens" if usage.get("prompt_tokens") is not None else "total_tokens"
    prompt = _required(usage, name)
    if prompt == 0:
        raise _Unusable
    return Usage(input=prompt)


def _image_usage(usage: Mapping[str, Any]) -> Usage:
    prompt, output = _sides(usage, "input_tokens", "output_tokens")
    text = _count(_members(usage, "output_tokens_details"), "text_tokens")
    return Usage(input=prompt, output=text, image_output=_rest(output, text))


def _speech_usage(usage: Mapping[str, Any]) -> Usage:
    prompt, output = _sides(usage, "input_tokens", "output_tokens")
    return Usage(input=prompt, audio_output=output)


def _transcription_usage(usage: Mapping[str, Any]) -> Usage:
    """What goes in is sound, but for what is told as text."""
    if usage.get("type") == "duration":
        return Usage(input_ms=milliseconds(usage.get("seconds")))
    prompt, output = _sides(usage, "input_tokens", "output_tokens")
    text = _count(_members(usage, "input_token_details"), "text_tokens")
    return Usage(input=text, audio_input=_rest(prompt, text), output=output)


def milliseconds(seconds: object) -> int:
    """Of a length as providers tell it: a number of seconds."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise _Unusable
    if not 0 < seconds <= COUNT_MAX / 1_000:
        raise _Unusable
    return round(seconds * 1_000)


def _search_usage(meta: Mapping[str, Any]) -> Usage:
    searches = _required(_members(meta, "billed_units"), "search_units")
    if searches == 0:
        raise _Unusable
    return Usage(searches=searches)


def _sides(usage: Mapping[str, Any], prompt_name: str, completion_name: str) -> tuple[int, int]:
    """All tokens in and all tokens out.

    What the total has above both sides was billed as output, though not counted there: some
    providers keep reasoning out of `completion_tokens`, some show it in the total alone.
    """
    prompt = _required(usage, prompt_name)
    total = _count(usage, "total_tokens")
    if usage.get(completion_name) is None and total < prompt:
        raise _Unusable
    completion = max(_count(usage, completion_name), total - prompt)
    if prompt == 0:  # no call has an empty prompt; it is a usage that was not filled in
        raise _Unusable
    return prompt, completion


def _members(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _Unusable
    return value


def _required(parent: Mapping[str, Any], name: str) -> int:
    if parent.get(name) is None:
        raise _Unusable
    return _count(parent, name)


def _count(parent: Mapping[str, Any], name: str) -> int:
    value = parent.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= COUNT_MAX:  # a bool is an int to isinstance
        raise _Unusable
    return value


def _rest(whole: int, *parts: int) -> int:
    rest = whole - sum(parts)
    if rest < 0:
        raise _Unusable
    return rest
