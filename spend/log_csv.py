"""Log CSV: rows of the log as a file for spreadsheets; exact dollars, texts that cannot run."""

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import timedelta

from spend.csv_cells import csv_text, inert
from spend.log_stream import Chunks
from spend.models import SpendLog
from spend.money import dollars_text

COLUMNS = (
    "time", "id", "status", "http_status", "tags", "key", "key_id", "model", "upstream_model",
    "provider", "endpoint", "stream", "tokens_in", "tokens_cached", "tokens_out", "cost",
    "milliseconds", "end_user", "session_id", "client_request_id", "upstream_request_id", "flags",
    "error",
)  # fmt: skip
DECIMALS = 9
MILLISECOND = timedelta(milliseconds=1)


def log_lines(
    chunks: Chunks, visible: frozenset[str] | None = None
) -> Generator[bytes, None, None]:
    """A header, also when there are no rows. Of tags only those `visible` are told; None: all."""
    head: list[Sequence[str]] = [COLUMNS]
    with closing(chunks):
        for rows in chunks:
            yield csv_text([*head, *(_cells(row, visible) for row in rows)]).encode()
            head = []
    if head:
        yield csv_text(head).encode()


def _cells(row: SpendLog, visible: frozenset[str] | None) -> list[str]:
    tags = [name for name in row.tag_set.tags if visible is None or name in visible]
    error = (row.error or {}).get("type")
    return [
        row.at.isoformat(),
        str(row.id),
        row.status,
        str(row.http_status),
        inert(",".join(tags)),
        inert(row.key_alias),
        str(row.key_id),
        inert(row.model),
        inert(row.upstream_model),
        inert(row.provider),
        row.endpoint,
        "true" if row.stream else "false",
        str(row.prompt_tokens),
        str(row.usage.get("cached_input") or 0),
        str(row.completion_tokens),
        dollars_text(row.cost, decimals_min=DECIMALS),
        str(max(0, (row.ended_at - row.at) // MILLISECOND)),
        inert(row.end_user),
        inert(row.session_id),
        inert(row.client_request_id),
        inert(row.upstream_request_id),
        ",".join(row.flags),
        inert(error),
    ]
