"""Scripted upstream: a provider over TCP; it does what the model's name says and keeps a bill.

    python -m tests.wire.scripted_upstream --bill FILE [--input PRICE] [--output PRICE]

The upstream's model is `<act>[:argument,...][/<act>...]`, so any client can call for any fault; an
unknown act is a fault of the test. It shares no code with Tollgate: its own arithmetic is in
fractions of a dollar, and its own bill is a file of JSON lines, one for every change of a call.

    ok:in,out  stream:chunks,ms  choices:n                          what an answer is
    usage-none|null|zero-prompt|twice|with-content|after-finish|    what it tells of itself
      after-done|negative|huge|float|text
    wait:s  stall:k  drip:s                                         time (k: after so many chunks)
    rst:k  fin:k  half-json:k  half-char:k  hang-open               cuts
    status:code,retry-after  error-200  html-200  redirect:url      other answers
    gzip  id:same|null|empty  headers:rude  slice:k  eol:cr|lf|crlf
    billed                                                          an error that costs an answer
    until:n                 so many calls of a mark; those that follow are `ok` as the acts have it
"""

import argparse
import asyncio
import json
import math
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TextIO

CONNECTIONS_MAX = 16_384
NANOS = 10**9
FOR_EVER_SECONDS = 600
ALLOWED_HEADERS = {
    "host", "content-length", "content-type", "accept", "accept-encoding", "authorization",
    "user-agent", "x-client-request-id", "traceparent", "tracestate", "openai-beta",
}  # fmt: skip
OURS = ("tags", "litellm_metadata", "metadata", "num_retries", "timeout", "fallbacks")
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class UnknownAct(Exception):
    """The test is wrong."""


@dataclass(slots=True)
class Script:
    """What the acts ask for."""

    tokens_in: int = 12
    tokens_out: int = 18
    chunks: int | None = None  # so many of one token each; None: all tokens in three chunks
    interval_seconds: float = 0.0
    usage: str = "plain"
    wait_seconds: float = 0.0
    stall_after: int | None = None
    drip_seconds: float | None = None
    cut: str = ""
    cut_after: int = 0
    status: int = 200
    retry_after: str = ""
    body: str = ""
    encoded: bool = False
    location: str = ""
    id_kind: str = ""
    rude: bool = False
    slice_bytes: int = 0
    eol: str = "\n"
    billed: bool = True
    costs_all_the_same: bool = False
    until: int | None = None

    @property
    def tokens_by_chunk(self) -> list[int]:
        if self.chunks is not None:
            return [1] * self.chunks
        third = self.tokens_out // 3
        return [third, third, self.tokens_out - 2 * third]


def read_script(model: str) -> Script:
    script = Script()
    for act in model.split("/"):
        name, _, text = act.partition(":")
        apply(script, name, text.split(",") if text else [])
    return script


def apply(script: Script, name: str, given: list[str]) -> None:
    match name:
        case "ok":
            script.tokens_in, script.tokens_out = int(given[0]), int(given[1])
        case "stream":
            script.chunks = script.tokens_out = int(given[0])
            script.interval_seconds = int(given[1]) / 1000
        case "wait":
            script.wait_seconds = float(given[0])
        case "stall":
            script.stall_after = int(given[0])
        case "drip":
            script.drip_seconds = float(given[0])
        case "rst" | "fin" | "half-json" | "half-char" | "hang-open":
            script.cut, script.cut_after = name, int(given[0]) if given else 1 << 30
        case "status":
            script.status, script.billed = int(given[0]), False
            script.retry_after = given[1] if len(given) > 1 else ""
        case "error-200" | "html-200":
            script.body, script.billed = name, False
        case "redirect":
            script.status, script.location, script.billed = 302, "http://127.0.0.1:1/", False
        case "gzip":
            script.encoded, script.billed = True, False
        case "id":
            script.id_kind = given[0]
        case "headers":
            script.rude = True
        case "billed":
            script.costs_all_the_same = True
        case "until":
            script.until = int(given[0])
        case "slice":
            script.slice_bytes = int(given[0])
        case "eol":
            script.eol = {"cr": "\r", "lf": "\n", "crlf": "\r\n"}[given[0]]
        case _ if name.startswith("usage-"):
            script.usage = name.removeprefix("usage-")
        case _:
            raise UnknownAct(name)


@dataclass(slots=True)
class Bill:
    """The provider's books: what each call owes it by its own prices, to the nano-dollar."""

    lines: TextIO
    input_price: Fraction  # dollars a token
    output_price: Fraction

    def write(self, call: "Call") -> None:
        cost = call.tokens_in * self.input_price + call.tokens_out * self.output_price
        line = {
            "mark": call.mark,
            "id": call.id,
            "tokens_in": call.tokens_in,
            "tokens_out": call.tokens_out,
            "cost": math.ceil(cost * NANOS),
            "delivered": call.delivered,
        }
        self.lines.write(json.dumps(line) + "\n")
        self.lines.flush()

    def fault(self, text: str) -> None:
        self.lines.write(json.dumps({"fault": text}) + "\n")
        self.lines.flush()


@dataclass(slots=True)
class Call:
    mark: str
    id: str
    script: Script
    is_stream: bool
    choices: int = 1
    tokens_in: int = 0
    tokens_out: int = 0
    delivered: bool = False

    def usage(self) -> Any:
        tokens_in, tokens_out = self.script.tokens_in, self.script.tokens_out
        whole = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }
        odd: dict[str, Any] = {
            "null": None,
            "zero-prompt": {**whole, "prompt_tokens": 0},
            "negative": {**whole, "prompt_tokens": -5},
            "huge": {**whole, "completion_tokens": 10**30},
            "float": {**whole, "completion_tokens": 1.5},
            "text": "about thirty",
        }
        return odd.get(self.script.usage, whole)

    def identity(self, kind: str) -> dict[str, Any]:
        ids = {"same": "chatcmpl-same", "null": None, "empty": ""}
        found = ids.get(self.script.id_kind, f"chatcmpl-{self.id}")
        return {"id": found, "object": kind, "created": 1_700_000_000, "model": "scripted"}


@dataclass(slots=True)
class Upstream:
    bill: Bill
    calls: int = 0
    open_calls: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)  # calls by their mark

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self.answer(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        except UnknownAct as error:
            self.bill.fault(f"unknown act {error}")
        finally:
            writer.close()

    async def answer(
        self,
        request: "tuple[dict[str, str], dict[str, Any]]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the connection serves another call."""
        headers, body = request
        self.watch(headers, body)
        self.calls += 1
        mark = str(body.get("user", ""))
        script = self.script_for(str(body.get("model", "")), mark)
        call = Call(
            mark=mark,
            id=f"{os.getpid()}-{self.calls}",
            script=script,
            is_stream=body.get("stream") is True,
            choices=body.get("n") or 1,
        )
        if script.wait_seconds:
            await asyncio.sleep(script.wait_seconds)
        if not script.billed:
            return await self.refuse(call, writer)
        call.tokens_in = script.tokens_in
        self.bill.write(call)
        if call.is_stream:
            return await self.stream(call, writer)
        return await self.answer_plainly(call, writer)

    def script_for(self, model: str, mark: str) -> Script:
        script = read_script(model)
        self.seen[mark] = self.seen.get(mark, 0) + 1
        if script.until is not None and self.seen[mark] > script.until:
            return Script(tokens_in=script.tokens_in, tokens_out=script.tokens_out)
        return script

    async def refuse(self, call: "Call", writer: asyncio.StreamWriter) -> bool:
        script = call.script
        if not script.costs_all_the_same:
            return await send(writer, refusal(script))
        call.tokens_in, call.tokens_out = script.tokens_in, script.tokens_out
        call.delivered = True
        self.bill.write(call)
        return await send(writer, refusal(script, usage=call.usage()))

    def watch(self, headers: dict[str, str], body: dict[str, Any]) -> None:
        """What must never come here."""
        for name in headers.keys() - ALLOWED_HEADERS:
            self.bill.fault(f"header {name}")
        if headers.get("accept-encoding") != "identity":
            self.bill.fault("asked for an encoding")
        for name in OURS:
            if name in body:
                self.bill.fault(f"member {name}")
        if sum(name in body for name in LIMITS) > 1:
            self.bill.fault("two limits")

    # -- answers ---------------------------------------------------------------------------------

    async def answer_plainly(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        script = call.script
        call.tokens_out = script.tokens_out
        body = call.identity("chat.completion")
        body["choices"] = [
            {
                "index": n,
                "message": {"role": "assistant", "content": "word " * script.tokens_out},
                "finish_reason": "stop",
            }
            for n in range(call.choices)
        ]
        if script.usage != "none":
            body["usage"] = call.usage()
        raw = json.dumps(body).encode()
        if script.cut:
            self.bill.write(call)
            head = head_of(200, "application/json", length=len(raw))
            return await cut(writer, head + raw[: len(raw) // 2], script.cut)
        sent = await send(
            writer, head_of(200, "application/json", length=len(raw), rude=script.rude) + raw
        )
        call.delivered = sent
        self.bill.write(call)
        return sent

    async def stream(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        """A client that hangs up is billed to the end."""
        script = call.script
        writer.write(head_of(200, "text/event-stream", rude=script.rude))
        try:
            async for piece in self.pieces(call):
                for part in sliced(piece.replace("\n", script.eol).encode(), script.slice_bytes):
                    writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                    if script.slice_bytes:
                        await writer.drain()
                        await asyncio.sleep(0)
                await writer.drain()
            if script.cut:
                return await cut(writer, half_of(script.cut), script.cut)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            call.delivered = script.usage == "plain"
        except OSError:
            call.tokens_out = script.tokens_out
            raise
        finally:
            self.bill.write(call)
        return True

    async def pieces(self, call: Call) -> AsyncIterator[str]:
        script = call.script
        identity = call.identity("chat.completion.chunk")
        said = {"usage": call.usage()} if script.usage == "with-content" else {}
        yield event(identity, delta={"role": "assistant", "content": ""})
        for n, tokens in enumerate(script.tokens_by_chunk):
            if script.cut and n >= script.cut_after:
                return
            if n == script.stall_after:
                await asyncio.sleep(FOR_EVER_SECONDS)
            if script.drip_seconds is not None:
                for _ in range(10_000):
                    await asyncio.sleep(script.drip_seconds)
                    yield ": still here\n\n"
            if script.interval_seconds:
                await asyncio.sleep(script.interval_seconds)
            call.tokens_out += tokens
            yield event(identity, delta={"content": "word " * tokens}, **said)
        for n in range(call.choices):
            yield event(identity, delta={}, finish="stop", index=n, **said)
        if script.usage in ("none", "with-content"):
            yield "data: [DONE]\n\n"
            return
        usage = f"data: {json.dumps({**identity, 'choices': [], 'usage': call.usage()})}\n\n"
        if script.usage == "twice":
            yield usage
        if script.usage == "after-done":
            yield "data: [DONE]\n\n" + usage
            return
        yield usage
        yield "data: [DONE]\n\n"


def event(
    identity: dict[str, Any],
    *,
    delta: dict[str, str],
    finish: str | None = None,
    index: int = 0,
    **members: Any,
) -> str:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({**identity, 'choices': [choice], **members})}\n\n"


def refusal(script: Script, **members: Any) -> bytes:
    error = {
        "message": f"Scripted {script.status}.",
        "type": "scripted",
        "param": None,
        "code": None,
    }
    body, kind = json.dumps({"error": error, **members}).encode(), "application/json"
    if script.body == "html-200":
        body, kind = b"<html><body>Sign in</body></html>", "text/html"
    if script.encoded:
        body = bytes.fromhex("1f8b0800000000000003abae0500")
    head = head_of(
        script.status, kind, length=len(body), retry_after=script.retry_after,
        location=script.location, encoding="gzip" if script.encoded else "",
    )  # fmt: skip
    return head + body


def head_of(
    status: int,
    kind: str,
    *,
    length: int | None = None,
    retry_after: str = "",
    location: str = "",
    encoding: str = "",
    rude: bool = False,
) -> bytes:
    named = {
        "content-type": kind,
        "content-length": "" if length is None else str(length),
        "transfer-encoding": "chunked" if length is None else "",
        "retry-after": retry_after,
        "location": location,
        "content-encoding": encoding,
        "x-request-id": "req_scripted",
    }
    if rude:
        named |= {f"x-rude-{n}": "a" * 20 for n in range(60)}
        named |= {"set-cookie": "a=b", "x-litellm-response-cost": "0", "x-tollgate-tags": "spoof"}
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in named.items() if v)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def sliced(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)] if size else [raw]


def half_of(kind: str) -> bytes:
    if kind == "half-json":
        part = b'data: {"id":"chatcmpl-half","choices":[{"index":0,"delta":{"con'
    elif kind == "half-char":
        part = b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f'
    else:
        return b""
    return b"%x\r\n%s\r\n" % (len(part), part)


async def send(writer: asyncio.StreamWriter, raw: bytes) -> bool:
    writer.write(raw)
    await writer.drain()
    return not writer.is_closing()


async def cut(writer: asyncio.StreamWriter, last: bytes, kind: str) -> bool:
    """The last bytes, and then the end: by RST, by FIN, or by nothing at all."""
    writer.write(last)
    await writer.drain()
    if kind == "hang-open":
        await asyncio.sleep(FOR_EVER_SECONDS)
    if kind == "rst":
        await asyncio.sleep(0.02)  # what was written is read before the reset throws it away
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    return False


async def read_request(
    reader: asyncio.StreamReader,
) -> tuple[dict[str, str], dict[str, Any]] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return headers, json.loads(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bill", required=True)
    parser.add_argument("--input", default="0.0000025")
    parser.add_argument("--output", default="0.00001")
    options = parser.parse_args()
    with open(options.bill, "a") as lines:
        asyncio.run(serve(Bill(lines, Fraction(options.input), Fraction(options.output))))


async def serve(bill: Bill) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await asyncio.start_server(
        Upstream(bill).serve, "127.0.0.1", 0, limit=1 << 26, backlog=CONNECTIONS_MAX
    )
    sys.stdout.write(f"port {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    main()
