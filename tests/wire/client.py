"""Client: HTTP over asyncio, small and raw, so that it can be rude and there can be many of it."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Found = TypeVar("Found")

ANSWER_SECONDS_MAX = 60.0


class Cut(Exception):
    """The answer did not come to its end."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

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
        data = [part[6:] for part in self.body.decode().split("\n\n") if part.startswith("data: ")]
        return [text if text == "[DONE]" else json.loads(text) for text in data]


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, raw: bytes) -> Answer:
        self.writer.write(raw)
        return await self.read_answer()

    async def read_answer(self) -> Answer:
        status, headers = await self.read_head()
        return Answer(status, headers, await self.read_body(headers))

    async def read_body(self, headers: dict[str, str]) -> bytes:
        try:
            if headers.get("transfer-encoding") == "chunked":
                return b"".join([chunk async for chunk in self.chunks()])
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut from error

    async def read_head(self) -> tuple[int, dict[str, str]]:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Cut from error
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(": ") for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, _, value in pairs}

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def read_until(self, text: bytes) -> None:
        await self.reader.readuntil(text)

    def hang_up(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Client:
    """Connections are kept and used again, the last one first."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self.idle: list[Line] = []

    async def connect(self) -> Line:
        return Line(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24))

    def request(
        self, path: str, body: Any, headers: dict[str, str] | None = None, *, method: str = "POST"
    ) -> bytes:
        raw = b"" if body is None else json.dumps(body).encode()
        named = {
            "host": f"127.0.0.1:{self.port}",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            "content-length": str(len(raw)),
        } | (headers or {})
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in named.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw

    async def call(self, path: str, body: Any = None, **options: Any) -> Answer:
        line = self.idle.pop() if self.idle else await self.connect()
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            try:
                answer = await line.ask(self.request(path, body, **options))
            except BaseException:
                line.hang_up()
                raise
        if answer.headers.get("connection") == "close":
            line.hang_up()
        else:
            self.idle.append(line)
        return answer

    async def chat(self, model: str, **members: Any) -> Answer:
        return await self.call("/v1/chat/completions", chat(model, **members))

    async def start_chat(self, model: str, **members: Any) -> Line:
        line = await self.connect()
        line.writer.write(self.request("/v1/chat/completions", chat(model, **members)))
        return line

    async def chat_or_cut(self, model: str, **members: Any) -> Answer | None:
        with contextlib.suppress(Cut, OSError):
            return await self.chat(model, **members)
        return None

    async def close(self) -> None:
        for line in self.idle:
            line.hang_up()
        await asyncio.sleep(0.01)  # for what was hung up to be closed


def run(port: int, key: str, work: Callable[[Client], Awaitable[Found]]) -> Found:
    """Run `work(client)` to its end, in a loop of its own."""

    async def connected() -> Found:
        client = Client(port, key)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(connected())


def chat(model: str, **members: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    if (tags := members.pop("tags", None)) is not None:
        body["metadata"] = {"tags": [getattr(tag, "name", tag) for tag in tags]}
    return body | members
