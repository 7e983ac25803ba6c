"""Unit metering: answers that are not billed as a text that came out."""

from collections.abc import Mapping
from typing import Any

from proxy.event_metering import EventMeter
from proxy.image_prices import counts_images, counts_tokens, priced_name
from proxy.metering import BYTES_PER_TOKEN, Meter
from proxy.text_sizing import count_texts
from proxy.unit_sizing import count_searches
from spend.usage import Usage, counts

# Of spoken text: some 15 characters and 21 tokens a second.
SOUND_TOKENS_PER_CHARACTER = 2


class CompletionsMeter(Meter):
    """A chat's, but that several prompts have answers of their own."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._choices *= count_texts(self._call.body.get("prompt")) or 1


class InputMeter(Meter):
    """Nothing comes out: embeddings."""

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        return Usage.from_input(body.get("usage"))

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        return 0


class ModerationsMeter(InputMeter):
    """Mostly without a usage; what has no price is not counted either."""

    def _counted(self) -> Usage:
        return super()._counted() if self._route.tariff.rate("input") else Usage()


class FreeMeter(InputMeter):
    """What costs nothing: the number in its answer is no usage."""

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        return None

    def _counted(self) -> Usage:
        return Usage()


class RerankMeter(InputMeter):
    """By searches where those have a price, else by tokens, as the answer tells them."""

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        meta = body.get("meta")
        searches = Usage.from_rerank(meta)
        if self._has_searches():
            return searches
        tokens = meta.get("tokens") if isinstance(meta, Mapping) else None
        if isinstance(tokens, Mapping):
            tokens = {"prompt_tokens": tokens.get("input_tokens")}
        return Usage.from_input(tokens) or Usage.from_input(body.get("usage")) or searches

    def _counted(self) -> Usage:
        if not self._has_searches():
            return super()._counted()
        return Usage(searches=count_searches(self._call.body["documents"], 0) or 1)

    def _has_searches(self) -> bool:
        return self._route.tariff.rate("searches") is not None


class ImagesMeter(EventMeter):
    """By tokens where those are told and have a price; else by images, by size and quality."""

    _made = 0

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        tariff = self._route.tariff
        told = Usage.from_images(body.get("usage"))
        if told is not None and (counts_tokens(tariff) or not counts_images(tariff)):
            return told
        made = count_images(body)
        if not made or not counts_images(tariff):
            return None
        return Usage(images=counts([(priced_name(self._call.body, body, tariff), made)]))

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        return 0

    def read_event(self, body: Mapping[str, Any]) -> None:
        """Several images are made one by one, each with a usage of its own."""
        if body.get("type") != "image_generation.completed":
            return
        self._events += 1
        before = self._usage
        self._read_usage(body)
        if before is not None and self._usage is not None and self._usage is not before:
            self._usage = before + self._usage
        self._made += 1
        if self._made >= self._choices:
            self._end()


def count_images(body: Mapping[str, Any]) -> int:
    made = body.get("data")
    if isinstance(made, list):
        return len(made)
    return 1 if body.get("b64_json") or body.get("url") else 0


class SpeechMeter(EventMeter):
    """By the characters that were asked for; by tokens, told or counted, where only those count."""

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        return None if self._has_characters() else Usage.from_speech(body.get("usage"))

    def read_event(self, body: Mapping[str, Any]) -> None:
        match body.get("type"):
            case "speech.audio.delta":
                self._deliver(0)
            case "speech.audio.done":
                self._read_usage(body)
                self._end()

    def _counted(self) -> Usage:
        characters = len(self._call.body["input"])
        if self._has_characters():
            return Usage(characters=characters)
        sound = SOUND_TOKENS_PER_CHARACTER * characters
        return Usage(input=max(1, len(self._call.raw) // BYTES_PER_TOKEN), audio_output=sound)

    def _has_characters(self) -> bool:
        return self._route.tariff.rate("characters") is not None
