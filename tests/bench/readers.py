"""Readers: many clients, each with one open stream, in one process on the core of the load.

Every stamped chunk is timed on arrival. Prints one line of JSON: what ended how, and the delays
between the upstream's write and our read.
"""

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop

STAMP = re.compile(rb'"content":\s?"(\d{20})"')
LAST_EVENT = b"data: [DONE]\n\n"
GRACE_SECONDS = 30


class Unreadable(Exception):
    """The answer is not a whole event stream; the text says how."""


@dataclass(slots=True)
class Findings:
    """Shared by all readers of a process."""

    endings: Counter[str] = field(default_factory=Counter)
    delays_ns: list[int] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0


class Reader(asyncio.Protocol):
    """One stream from request to [DONE]; `ended` is set whatever happens."""

    def __init__(self, request: bytes, chunks: int, findings: Findings) -> None:
        self.request, self.chunks, self.findings = request, chunks, findings
        self.pending, self.tail, self.last = b"", b"", b""
        self.head: bytes | None = None
        self.seen = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        self.end(f"connection lost: {error}")

    def data_received(self, received: bytes) -> None:
        now = time.monotonic_ns()
        self.pending += received
        try:
            if self.head is None and not self.take_head():
                return
            while not self.ended.done() and (payload := self.take_chunk()) is not None:
                self.read_payload(payload, now)
        except Unreadable as reason:
            self.end(str(reason))

    def take_head(self) -> bool:
        head, found, rest = self.pending.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Unreadable(f"{head[:40]!r} {rest[:200]!r}")
        if b"transfer-encoding: chunked" not in head.lower():
            raise Unreadable("the answer is not chunked")
        self.head, self.pending = head, rest
        self.findings.open_now += 1
        self.findings.open_most = max(self.findings.open_most, self.findings.open_now)
        return True

    def take_chunk(self) -> bytes | None:
        """The payload of the next whole HTTP chunk, None until it is there."""
        size_end = self.pending.find(b"\r\n")
        if size_end < 0:
            return None
        start = size_end + 2
        end = start + int(self.pending[:size_end], 16)
        if len(self.pending) < end + 2:
            return None
        payload, self.pending = self.pending[start:end], self.pending[end + 2 :]
        return payload

    def read_payload(self, payload: bytes, now: int) -> None:
        """An event may be split over chunks, and a chunk may hold several."""
        if not payload:
            return self.end(self.judge())
        text = self.tail + payload
        whole_end = text.rfind(b"\n\n") + 2 if b"\n\n" in text else 0
        events, self.tail = text[:whole_end], text[whole_end:]
        self.last = events[-len(LAST_EVENT) :] or self.last
        for stamp in STAMP.findall(events):
            self.seen += 1
            self.findings.delays_ns.append(now - int(stamp))
        return None

    def judge(self) -> str:
        if self.last == LAST_EVENT and not self.tail and self.seen == self.chunks:
            return "done"
        return f"{self.seen} chunks, then {(self.last + self.tail)[-80:]!r}"

    def end(self, how: str) -> None:
        if self.ended.done():
            return
        self.findings.open_now -= self.head is not None
        self.findings.endings[how] += 1
        self.ended.set_result(None)
        self.transport.close()


async def read_streams(
    url: str, request: bytes, *, streams: int, chunks: int, ramp_seconds: float, seconds_max: float
) -> dict[str, object]:
    loop, address, findings = asyncio.get_running_loop(), urlsplit(url), Findings()
    started, readers = time.monotonic(), []
    for number in range(streams):
        await asyncio.sleep(started + ramp_seconds * number / streams - time.monotonic())
        _, reader = await loop.create_connection(
            lambda: Reader(request, chunks, findings), address.hostname, address.port
        )
        readers.append(reader)
    await asyncio.wait([one.ended for one in readers], timeout=seconds_max + GRACE_SECONDS)
    for reader in readers:
        reader.end("never ended")
    return describe(findings, time.monotonic() - started)


def describe(findings: Findings, seconds: float) -> dict[str, object]:
    delays = sorted(findings.delays_ns) or [0]
    return {
        "endings": dict(findings.endings),
        "open_most": findings.open_most,
        "chunks": len(findings.delays_ns),
        "seconds": seconds,
        "delay_p50_ms": delays[len(delays) // 2] / 1e6,
        "delay_p99_ms": delays[len(delays) * 99 // 100] / 1e6,
        "delay_max_ms": delays[-1] / 1e6,
    }


def build_request(url: str, headers: dict[str, str], call: dict[str, object]) -> bytes:
    address, body = urlsplit(url), json.dumps(call, separators=(",", ":")).encode()
    every = {"host": address.netloc, "content-type": "application/json", **headers}
    every["content-length"] = str(len(body))
    lines = [f"POST {address.path} HTTP/1.1", *(f"{k}: {v}" for k, v in every.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("--headers", type=json.loads, required=True)
    options.add_argument("--call", type=json.loads, required=True)
    options.add_argument("--streams", type=int, required=True)
    options.add_argument("--chunks", type=int, required=True)
    options.add_argument("--ramp-seconds", type=float, required=True)
    options.add_argument("--seconds-max", type=float, required=True)
    chosen = options.parse_args()
    request = build_request(chosen.url, chosen.headers, chosen.call)
    found = uvloop.run(
        read_streams(
            chosen.url,
            request,
            streams=chosen.streams,
            chunks=chosen.chunks,
            ramp_seconds=chosen.ramp_seconds,
            seconds_max=chosen.seconds_max,
        )
    )
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
