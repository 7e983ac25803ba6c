"""Log export: rows of the log as CSV or as lines of JSON, with the members that lists have."""

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import Any

from proxy.log_answers import log_objects
from proxy.wire import number_text, time_text, write_json
from spend.csv_cells import csv_text, inert
from spend.log_stream import Chunks

COLUMNS = (
    "id", "litellm_call_id", "request_id", "client_request_id", "call_type", "endpoint", "status",
    "http_status", "stream", "client_disconnected", "startTime", "completionStartTime", "endTime",
    "request_duration_ms", "api_key", "key_id", "key_alias", "model", "model_group", "model_id",
    "custom_llm_provider", "prompt_tokens", "completion_tokens", "total_tokens", "usage",
    "usage_source", "spend", "cost_breakdown", "price_id", "request_tags", "end_user",
    "session_id", "user_agent", "requester_ip_address", "cache_hit", "attempts", "flags", "error",
    "corrects", "metadata",
)  # fmt: skip
JOINED = ("request_tags", "flags")  # lists of names, which have no commas

Text = Generator[bytes, None, None]


def as_json_lines(chunks: Chunks) -> Text:
    with closing(chunks):
        for rows in chunks:
            written = (write_json(row, milliseconds=True) for row in log_objects(rows))
            yield b"".join(line + b"\n" for line in written)


def as_csv(chunks: Chunks) -> Text:
    """RFC 4180, with a header also when there are no rows."""
    head: list[Sequence[str]] = [COLUMNS]
    with closing(chunks):
        for rows in chunks:
            yield csv_text([*head, *(_cells(row) for row in log_objects(rows))]).encode()
            head = []
    if head:
        yield csv_text(head).encode()


def _cells(row: dict[str, Any]) -> list[str]:
    return [inert(",".join(row[name])) if name in JOINED else _cell(row[name]) for name in COLUMNS]


def _cell(value: Any) -> str:
    """Numbers and times as exact text; what is a text is made inert, a number stays one."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return number_text(value)
        case datetime():
            return time_text(value, milliseconds=True)
        case dict() | list():
            return write_json(value, milliseconds=True).decode()
        case str():
            return inert(value)
    return str(value)
