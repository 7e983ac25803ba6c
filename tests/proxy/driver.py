"""Driver: calls the gateway in process, as uvicorn would, from a thread of the tests' own."""

import asyncio
import json
import threading
import warnings
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote

from django.db import connection

from proxy.upstreams.contract import Transport
from proxy.worker import Worker
from spend.presence import CHANNEL
from tests.forms import Form

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # no static files were collected for tests
    from config.asgi import Application

ANSWER_SECONDS_MAX = 30.0


class LoopThread:
    """An event loop in a thread, so that tests stay plain functions with a blocking database."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, Any], *, seconds_max: float = 30.0) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds_max)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class Received:
    """An answer as its client got it."""

    def __init__(self, call: "OpenCall") -> None:
        start = call.sent[0]
        self.status: int = start["status"]
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]
        }
        self.body = b"".join(message.get("body", b"") for message in call.sent[1:])
        self.is_whole = len(call.sent) > 1 and not call.sent[-1].get("more_body", False)

    @property
    def id(self) -> str:
        return self.headers["x-request-id"]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json()["error"]

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events, parsed where it is JSON."""
        found = []
        for block in self.body.decode().split("\n\n"):
            if block.startswith("data: "):
                data = block.removeprefix("data: ")
                found.append(data if data == "[DONE]" else json.loads(data))
        return found


class OpenCall:
    """A call in flight; its client may hang up, or take nothing for a while."""

    def __init__(
        self,
        gateway: "Gateway",
        scope: dict[str, Any],
        chunks: list[bytes],
        stalls_after: int | None,
    ) -> None:
        self.gateway = gateway
        self.scope = scope
        self.chunks = chunks
        self.sent: list[dict[str, Any]] = []
        self.has_hung_up = False
        self.is_answered = False
        self.message = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.stalls_after = stalls_after  # so many pieces of the body
        self.task = asyncio.run_coroutine_threadsafe(self._run(), gateway.thread.loop)

    async def _run(self) -> None:
        await self.gateway.application(self.scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        """uvicorn's semantics: after the body it waits, and an answered call is disconnected."""
        if self.chunks and self.stalls_after == 0:
            await self.message.wait()
        elif self.chunks:
            if self.stalls_after:
                self.stalls_after -= 1
            body = self.chunks.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self.chunks)}
        if not (self.has_hung_up or self.is_answered):
            await self.message.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if not self.has_hung_up:
            await self.reading.wait()
        if self.has_hung_up:
            return
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_answered = True
            self.message.set()

    # -- the client ------------------------------------------------------------------------------

    def answer(self, *, seconds_max: float = ANSWER_SECONDS_MAX) -> Received:
        self.task.result(seconds_max)
        return Received(self)

    def answer_or_nothing(self) -> None:
        """For a client that is gone: until the gateway is through with it."""
        self.task.result(ANSWER_SECONDS_MAX)

    def hang_up(self) -> None:
        async def leave() -> None:
            self.has_hung_up = True
            self.message.set()
            self.reading.set()

        self.gateway.thread.run(leave())

    def stop_reading(self) -> None:
        self.gateway.thread.loop.call_soon_threadsafe(self.reading.clear)

    def wait_for(self, text: bytes, *, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        """Until the client has received it."""

        async def look() -> None:
            async with asyncio.timeout(seconds_max):
                while not any(text in message.get("body", b"") for message in self.sent):  # noqa: ASYNC110
                    await asyncio.sleep(0.002)

        self.gateway.thread.run(look(), seconds_max=seconds_max + 1)


class Gateway:
    """An Application with a worker of its own, whose transport is given."""

    hears = True  # before each call

    def __init__(self, thread: LoopThread, transport: Transport) -> None:
        self.thread = thread
        self.application = Application()
        self.worker: Worker = thread.run(self._open(transport))
        self.application.worker = self.worker
        self._heard = threading.Event()
        self._forget = self.worker.presence._on_change
        self.worker.presence._on_change = self._hear_change

    @staticmethod
    async def _open(transport: Transport) -> Worker:
        worker = Worker(transport)
        await worker.open()
        return worker

    def close(self) -> None:
        self.thread.run(self.worker.close(), seconds_max=60)

    def _hear_change(self, table: str, row_id: str) -> None:
        if table == "probe":
            self._heard.set()
        else:
            self._forget(table, row_id)

    def hear(self) -> None:
        """Until the gateway has heard of every row that was changed before: up to a second in life,
        and not what a test should be about by chance."""
        self._heard.clear()
        with connection.cursor() as cursor:
            cursor.execute("select pg_notify(%s, 'probe:')", [CHANNEL])
        assert self._heard.wait(10), "the gateway hears nothing"

    def forget_cards(self) -> None:
        self.thread.loop.call_soon_threadsafe(self.worker.directory.forget_all)

    # -- calling ---------------------------------------------------------------------------------

    def start(
        self,
        method: str,
        path: str,
        *,
        key: Any = None,
        body: Any = None,
        headers: dict[str, str] | list[tuple[str, str]] = (),
        address: str = "127.0.0.1",
        slices: int = 1,
        stalls_after: int | None = None,
    ) -> OpenCall:
        """`body` is bytes, a form, or is written as JSON; `key` an APIKey, or its text."""
        named = list(headers.items() if isinstance(headers, dict) else headers)
        if isinstance(body, Form):
            named.append(("content-type", body.content_type))
            body = body.raw
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        if key is not None:
            named.append(("authorization", f"Bearer {getattr(key, 'secret', key)}"))
        if raw and slices == 1 and not any(name == "content-length" for name, _ in named):
            named.append(("content-length", str(len(raw))))
        if raw and not any(name == "content-type" for name, _ in named):
            named.append(("content-type", "application/json"))
        if self.hears and not self.worker.is_closing:
            self.hear()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.lower().encode("latin-1"), v.encode("utf-8")) for n, v in named],
            "client": (address, 50_000),
            "server": ("127.0.0.1", 4000),
        }
        size = max(1, -(-len(raw) // slices))
        chunks = [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]
        return OpenCall(self, scope, chunks, stalls_after)

    def call(self, method: str, path: str, **options: Any) -> Received:
        return self.start(method, path, **options).answer()

    def start_chat(self, model: Any, *, key: Any, headers: Any = (), **members: Any) -> OpenCall:
        return self.start(
            "POST", "/v1/chat/completions", key=key, headers=headers, body=chat(model, **members)
        )

    def chat(self, model: Any, *, key: Any, headers: Any = (), **members: Any) -> Received:
        return self.start_chat(model, key=key, headers=headers, **members).answer()

    def start_scope(self, scope: dict[str, Any], *, model: Any) -> OpenCall:
        """With a scope that no driver would make."""
        return OpenCall(self, scope, [json.dumps(chat(model)).encode()], None)

    # -- at rest ---------------------------------------------------------------------------------

    def rest(self) -> None:
        """Until no journey runs, and every bill was handed to PostgreSQL."""

        async def look() -> None:
            async with asyncio.timeout(20):
                ledger = self.worker.ledger
                while len(self.worker.tasks):  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                await ledger.flush()

        self.thread.run(look())


def chat(model: Any, **members: Any) -> dict[str, Any]:
    """A body; `tags` go into its metadata."""
    body = {
        "model": getattr(model, "model_name", model),
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if (tags := members.pop("tags", None)) is not None:
        body["metadata"] = {"tags": [getattr(tag, "name", tag) for tag in tags]}
    return body | members
