"""Server-sent events: whole events out of bytes, whatever the slicing and the line ends."""

import re
from collections.abc import Sequence

import orjson

EVENT_BYTES_MAX = 1024 * 1024
DONE = b"[DONE]"

_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LINE = re.compile(rb"\r\n|\n|\r")


class EventTooLong(Exception):
    """An event went past the bytes that one may have."""


class EventSplitter:
    """Feed bytes as they come, get the events that are complete, their bytes unchanged."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._rest = b""
        self._bytes_max = event_bytes_max

    def feed(self, chunk: bytes) -> Sequence[bytes]:
        data = self._rest + chunk if self._rest else chunk
        # Nearly every upstream ends lines with LF and a read with an event.
        if b"\r" not in data:
            *events, self._rest = data.split(b"\n\n")
            events = [event + b"\n\n" for event in events]
        else:
            events = self._split_any(data)
        if len(self._rest) > self._bytes_max:
            raise EventTooLong
        return events

    def end(self) -> Sequence[bytes]:
        """The last event, if only its blank line is missing; what was cut short is dropped."""
        event = self._rest.strip(b"\r\n") + b"\n\n"
        return [event] if is_whole(event) else []

    def _split_any(self, data: bytes) -> list[bytes]:
        events = []
        start = 0
        for end in _END.finditer(data):
            # A CR at the very end may be the first half of a CRLF.
            if end.end() == len(data) and data.endswith(b"\r"):
                break
            events.append(data[start : end.end()])
            start = end.end()
        self._rest = data[start:]
        return events


def is_whole(event: bytes) -> bool:
    payload = payload_of(event)
    try:
        return payload == DONE or orjson.loads(payload) is not None
    except orjson.JSONDecodeError:
        return False


def payload_of(event: bytes) -> bytes:
    """The event's data, its lines joined; empty for a comment."""
    if event.startswith(b"data: ") and event.find(b"\n") >= len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = (line for line in _LINE.split(event) if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)
