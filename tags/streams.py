"""Streams: an answer of any length, made while it is sent."""

from collections.abc import AsyncIterator, Generator, Iterator
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

Chunks = Generator[bytes, None, None]


class StreamedAnswer(StreamingHttpResponse):
    """Its end, be it that the client went away, is the end of what its chunks hold open."""

    def __init__(self, sent: Any, chunks: Chunks, **options: Any) -> None:
        super().__init__(sent, **options)
        self._chunks = chunks

    def close(self) -> None:
        self._chunks.close()
        super().close()


def stream_answer(
    request: HttpRequest, chunks: Chunks, *, content_type: str, filename: str
) -> StreamedAnswer:
    """What goes wrong before the first chunk is raised here, where it can still be answered."""
    started = chain([next(chunks, b"")], chunks)
    sent = _in_its_thread(started) if isinstance(request, ASGIRequest) else started
    disposition = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamedAnswer(sent, chunks, content_type=content_type, headers=disposition)


async def _in_its_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The request's thread has its database connection, and with it the transaction."""
    while (chunk := await sync_to_async(_pull)(chunks)) is not None:
        yield chunk


def _pull(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)
