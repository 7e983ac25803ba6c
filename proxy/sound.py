"""Sound: transcriptions, by the tokens or the seconds of what was heard."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from proxy.call import Call
from proxy.event_metering import EventMeter
from proxy.metering import BYTES_PER_TOKEN
from proxy.text_sizing import body_bytes
from spend.estimate import EXPECTED_BYTES_PER_TOKEN, ModelLimits, Size
from spend.pricing import Tariff
from spend.usage import Usage

TOKENS_PER_MINUTE = 1_000  # of sound, as models that count it by tokens do


def transcription_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """How long the sound is, is certain only where it is not compressed."""
    length = call.sound
    if counts_tokens(tariff):
        heard = sound_tokens(length.milliseconds) * EXPECTED_BYTES_PER_TOKEN
        return Size(
            text_bytes=body_bytes(call) + heard,
            output_tokens_asked=limits.output_tokens_max,
            unbounded="file",
        )
    return Size(
        text_bytes=body_bytes(call),
        may_generate=False,
        units=in_seconds(tariff, -(-length.milliseconds // 1_000) * 1_000),  # many bill whole ones
        unbounded=None if length.is_certain else "file",
    )


def counts_tokens(tariff: Tariff) -> bool:
    """Models that also have a price by seconds are billed by what they tell."""
    return not counts_seconds(tariff) and tariff.rate("input") is not None


def counts_seconds(tariff: Tariff) -> bool:
    return tariff.rate("input_seconds") is not None or tariff.rate("output_seconds") is not None


def in_seconds(tariff: Tariff, milliseconds: int) -> Usage:
    """Some price lists have the length of the sound on the one side, some on the other."""
    if tariff.rate("input_seconds") is None and tariff.rate("output_seconds") is not None:
        return Usage(output_ms=milliseconds)
    return Usage(input_ms=milliseconds)


def sound_tokens(milliseconds: int) -> int:
    return -(-milliseconds * TOKENS_PER_MINUTE // 60_000)


class TranscriptionMeter(EventMeter):
    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        told = Usage.from_transcription(body.get("usage")) or Usage.from_transcription(
            {"type": "duration", "seconds": _number(body.get("duration"))}
        )
        if told is None or not told.input_ms:
            tariff = self._route.tariff
            return told if tariff.rate("input") is not None or not counts_seconds(tariff) else None
        if counts_tokens(self._route.tariff):
            return None
        return in_seconds(self._route.tariff, told.input_ms)

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        text = body.get("text")
        return len(text.encode()) if isinstance(text, str) else 0

    def read_bytes(self, raw: bytes) -> None:
        super().read_bytes(raw)
        self._content_bytes = len(raw)

    def read_event(self, body: Mapping[str, Any]) -> None:
        match body.get("type"):
            case "transcript.text.delta":
                delta = body.get("delta")
                self._deliver(len(delta.encode()) if isinstance(delta, str) else 0)
            case "transcript.text.done":
                self._read_usage(body)
                self._end()

    def _counted(self) -> Usage:
        """Whatever came out, all of the sound went in."""
        length = self._call.sound
        if not counts_tokens(self._route.tariff):
            return in_seconds(self._route.tariff, length.milliseconds)
        text = len(self._call.raw) // BYTES_PER_TOKEN
        heard = max(sound_tokens(length.milliseconds), self._told_input - text)
        counted = super()._counted()
        return replace(counted, input=text, audio_input=heard)

    def _delivered(self) -> Usage | None:
        return self._usage or self._counted()


def _number(value: object) -> object:
    """Some servers write a number as a text."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value
