"""Fakes: a function plays the provider, and the upstream remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from proxy.upstreams.contract import Outbound, Timeouts, collect

GATE_SECONDS_MAX = 20.0
USAGE = {"prompt_tokens": 12, "completion_tokens": 18, "total_tokens": 30}
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the provider got it."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]
    timeouts: Timeouts


class Gate:
    """A place in an answer where the provider waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait_until_reached(self) -> None:
        assert self.reached.wait(GATE_SECONDS_MAX), "the provider never came to the gate"

    def open(self) -> None:
        self.opened.set()

    async def pass_through(self) -> None:
        self.reached.set()
        deadline = asyncio.get_running_loop().time() + GATE_SECONDS_MAX
        while not self.opened.is_set():
            assert asyncio.get_running_loop().time() < deadline, "the gate was never opened"
            await asyncio.sleep(0.002)


# What an answer is made of: bytes are sent, exceptions raised, gates waited at, seconds slept.
Step = bytes | Exception | Gate | float


@dataclass(slots=True)
class Reply:
    """An answer of the provider's: `before` its head, then the head, then `steps`."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    before: Sequence[Step] = ()


class FakeUpstream:
    """A Transport. Set `answers` to a function of what was asked, or call `reply` with one."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: Callable[[Asked], Reply] = lambda asked: chat_answer(asked)

    def reply(self, reply: Reply) -> None:
        self.answers = lambda asked: reply

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def exchange(self, outbound: Outbound, timeouts: Timeouts) -> "FakeExchange":
        asked = Asked(outbound.url, dict(outbound.headers), read_sent(outbound), timeouts)
        self.asked.append(asked)
        return FakeExchange(self.answers(asked))

    async def close(self) -> None:
        pass


def read_sent(outbound: Outbound) -> dict[str, Any]:
    """The body; of a form its fields, those that are repeated as a list, and its file."""
    if isinstance(outbound.body, bytes):
        return json.loads(outbound.body)
    raw = b"".join(outbound.body.chunks())
    assert len(raw) == outbound.body.size
    head = f"content-type: {outbound.headers['content-type']}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + raw).iter_parts():
        name = part.get_param("name", header="content-disposition")
        value: Any = part.get_payload(decode=True)
        if part.get_filename() is not None:
            value = (part.get_filename(), part.get_content_type(), value)
        else:
            value = value.decode()
        found[name] = [found[name], value] if name in found else value
    return found


class FakeExchange:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.steps = list(reply.steps)
        self.status = reply.status

    async def __aenter__(self) -> "FakeExchange":
        for step in self.reply.before:
            await take(step)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.sleep(0)

    def header(self, name: str) -> str | None:
        return self.reply.headers.get(name)

    async def read_chunk(self) -> bytes | None:
        while self.steps:
            chunk = await take(self.steps.pop(0))
            if chunk is not None:
                return chunk
        return None

    async def read_whole(self, *, bytes_max: int) -> bytes:
        return await collect(self, bytes_max=bytes_max)


async def take(step: Step) -> bytes | None:
    match step:
        case bytes():
            await asyncio.sleep(0)
            return step
        case Exception():
            raise step
        case Gate():
            await step.pass_through()
        case float():
            await asyncio.sleep(step)
    return None


# -- what providers say --------------------------------------------------------------------------


def chat_answer(asked: Asked | None = None) -> Reply:
    """What an unremarkable provider would say, in a stream if it was asked for one."""
    return streamed() if asked is not None and asked.body.get("stream") else plain()


def plain(usage: Any = USAGE, *, headers: dict[str, str] | None = None, **members: Any) -> Reply:
    """`usage=None` leaves it out."""
    message = {"role": "assistant", "content": "Hello! How can I help you today?"}
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "fake-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        **({} if usage is None else {"usage": usage}),
        **members,
    }
    return json_reply(body, headers=headers)


def json_reply(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    named = {"content-type": "application/json", **(headers or {})}
    return Reply(status, named, [json.dumps(body).encode()])


def chunk(text: str | None = None, finish: str | None = None, **members: Any) -> bytes:
    delta = {"role": "assistant"} if text is None and finish is None else {}
    if text is not None:
        delta["content"] = text
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members})


def usage_chunk(usage: Any = USAGE, **members: Any) -> bytes:
    return event({"choices": [], "usage": usage, **members})


def event(members: dict[str, Any]) -> bytes:
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "fake-1",
        **members,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def streamed(*steps: Step, headers: dict[str, str] | None = None) -> Reply:
    """The steps as they are; without any, a whole little stream."""
    named = {"content-type": "text/event-stream", **(headers or {})}
    whole = (chunk(), chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage_chunk(), DONE)
    return Reply(200, named, steps or whole)
