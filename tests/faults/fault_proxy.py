"""FaultProxy: stands between a client and a server, and does to their bytes what a fault does.

    pass                 nothing
    refuse               ends each new connection at once
    blackhole            keeps all bytes until the fault is over, then delivers them
    delay(s)             each piece comes s seconds later
    throttle(n)          n bytes a second
    slice(k)             pieces of at most k bytes
    reset_after(n)       resets the connection once n bytes were answered
    drop_reply           delivers a request, then resets in place of its answer
    hold_then_deliver(s) resets the client, and delivers its request s seconds later

It runs in a thread of its own; a test sets `fault` and reads `decisions`.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PIECE_BYTES = 1 << 16
SPOKEN_BYTES_MAX = 1 << 13
POLL_SECONDS = 0.005
MODES = frozenset(
    {
        "pass", "refuse", "blackhole", "delay", "throttle", "slice", "reset_after", "drop_reply",
        "hold_then_deliver",
    }
)  # fmt: skip

Address = tuple[str, int] | str  # of TCP, or the path of a socket


@dataclass(frozen=True, slots=True)
class Fault:
    """`share` of what it could strike is struck; only requests and flows that hold the bytes."""

    mode: str = "pass"
    amount: float = 0.0
    request: bytes = b""
    flow: bytes = b""  # said by the client in its first words
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"no such mode: {self.mode}")


@dataclass(eq=False, slots=True)
class Flow:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    spoken: bytes = b""
    answered_bytes: int = 0
    drops_next: bool = False

    def note(self, piece: bytes) -> None:
        self.spoken = (self.spoken + piece)[:SPOKEN_BYTES_MAX]

    def reset_client(self) -> None:
        raw = self.client.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()

    def end(self) -> None:
        self.reset_client()
        self.server.transport.abort()


@dataclass(eq=False)
class FaultProxy:
    target: Address
    seed: int = 0
    listens_at: str = ""  # the path of a socket; else a free port
    fault: Fault = field(default_factory=Fault)
    decisions: list[str] = field(default_factory=list)
    flows: set[Flow] = field(default_factory=set)
    port: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.loop = asyncio.new_event_loop()
        self.tasks: set[asyncio.Task[Any]] = set()

    def cut(self) -> int:
        """Reset every connection there is; how many there were."""

        async def end_all() -> int:
            for flow in (found := list(self.flows)):
                flow.end()
            return len(found)

        return asyncio.run_coroutine_threadsafe(end_all(), self.loop).result(10)

    async def listen(self) -> asyncio.Server:
        if self.listens_at:
            return await asyncio.start_unix_server(self.accept, self.listens_at)
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.fault.mode == "refuse":
            self.decisions.append("refuse")
            client.transport.abort()
            return
        try:
            if isinstance(self.target, str):
                answers, server = await asyncio.open_unix_connection(self.target)
            else:
                answers, server = await asyncio.open_connection(*self.target)
        except OSError:
            client.transport.abort()
            return
        flow = Flow(client, server)
        self.flows.add(flow)
        backward = asyncio.create_task(self.answer(flow, answers))
        self.tasks.add(backward)
        try:
            await self.ask(flow, reader)
        finally:
            await backward
            self.tasks.discard(backward)
            self.flows.discard(flow)

    async def ask(self, flow: Flow, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                flow.note(piece)
                if self.strikes("hold_then_deliver", flow, piece):
                    await self.deliver_late(flow, piece)
                    return
                flow.drops_next = flow.drops_next or self.strikes("drop_reply", flow, piece)
                await self.carry(flow, piece, flow.server)
        flow.server.close()

    async def answer(self, flow: Flow, answers: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while piece := await answers.read(PIECE_BYTES):
                if flow.drops_next:
                    flow.end()
                    return
                await self.carry(flow, piece, flow.client)
                flow.answered_bytes += len(piece)
                if self.fault.mode == "reset_after" and flow.answered_bytes >= self.fault.amount:
                    self.decisions.append("reset_after")
                    flow.end()
                    return
        flow.client.close()

    async def deliver_late(self, flow: Flow, piece: bytes) -> None:
        flow.reset_client()
        await asyncio.sleep(self.fault.amount)
        flow.server.write(piece)
        with contextlib.suppress(OSError):
            await flow.server.drain()
        await asyncio.sleep(max(self.fault.amount, 0.2))  # for the server to act on it
        flow.server.close()

    async def carry(self, flow: Flow, piece: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        if fault.flow in flow.spoken:
            if fault.mode == "blackhole":
                self.decisions.append("blackhole")
                while self.fault is fault:  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(POLL_SECONDS)
            elif fault.mode == "delay":
                await asyncio.sleep(fault.amount)
        step = {"slice": int(fault.amount), "throttle": max(1, int(fault.amount / 100))}
        size = step.get(fault.mode, len(piece))
        for start in range(0, len(piece), size):
            writer.write(piece[start : start + size])
            await writer.drain()
            if fault.mode in step:
                await asyncio.sleep(0.01 if fault.mode == "throttle" else 0)

    def strikes(self, mode: str, flow: Flow, piece: bytes) -> bool:
        fault = self.fault
        if fault.mode != mode or fault.request not in piece or fault.flow not in flow.spoken:
            return False
        if self.chance.random() >= fault.share:
            return False
        self.decisions.append(mode)
        return True


@contextlib.contextmanager
def fault_proxy(target: Address, *, seed: int = 0, listens_at: str = "") -> Iterator[FaultProxy]:
    proxy = FaultProxy(target, seed, listens_at)
    thread = threading.Thread(target=proxy.loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(proxy.listen(), proxy.loop).result(10)

    async def end() -> None:
        server.close()
        proxy.fault = Fault()
        for flow in list(proxy.flows):
            flow.end()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(end(), proxy.loop).result(10)
        proxy.loop.call_soon_threadsafe(proxy.loop.stop)
        thread.join(10)
        proxy.loop.close()
