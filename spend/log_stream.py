"""Log stream: all rows of a search through a server-side cursor; never more of them than a chunk.

They are one snapshot of the log, which is held while they are read; so a reader that stands still
for long is cut off.
"""

from collections.abc import Generator

from django.db import connection
from django.db.models import QuerySet

from spend.log_filters import LogSearch, matching
from spend.log_reader import seconds_max
from spend.models import SpendLog

CHUNK_ROWS = 1_000
CHUNK_SECONDS_MAX = 30
READER_IDLE_SECONDS_MAX = 300

Chunks = Generator[list[SpendLog], None, None]


def stream_log(search: LogSearch) -> Chunks:
    """The rows in the search's order, with their tag sets. Raises SearchTooSlow."""
    rows = matching(search).select_related("tag_set")
    return stream_rows(rows.order_by("id" if search.is_ascending else "-id"))


def stream_rows(rows: QuerySet[SpendLog]) -> Chunks:
    """The rows a chunk at a time; the transaction ends when they are used up, or closed."""
    with seconds_max(CHUNK_SECONDS_MAX):
        with connection.cursor() as cursor:
            idle = f"'{READER_IDLE_SECONDS_MAX}s'"
            cursor.execute(f"set local idle_in_transaction_session_timeout = {idle}")
        chunk: list[SpendLog] = []
        for row in rows.iterator(chunk_size=CHUNK_ROWS):
            chunk.append(row)
            if len(chunk) == CHUNK_ROWS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
