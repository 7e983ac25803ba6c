"""Forwarding: one attempt at an upstream; its answer is relayed to the outlet and metered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson
from django.conf import settings

from proxy.answers import JSON_HEADERS, STREAM_HEADERS, encode_headers, plan_headers, usage_event
from proxy.drains import Drains
from proxy.errors import NO_RETRY, Failure
from proxy.metering import Meter
from proxy.plan import Plan
from proxy.relay import Answer, Headers, Outlet
from proxy.streaming import EventSplitter, EventTooLong
from proxy.upstreams.contract import Broken, Reply, Request, Silent, Transport, Unsent
from proxy.upstreams.failures import failure_of, is_error_body
from spend.billing import bill_for
from spend.ledger import Hold
from spend.money import Nanos

ANSWER_BYTES_MAX = 64 * 1024 * 1024
PASSED_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta", "traceparent", "tracestate")


@dataclass(slots=True)
class Attempt:
    """One forwarding to one deployment, and when its head and first byte came."""

    plan: Plan
    hold: Hold
    meter: Meter
    outlet: Outlet
    drains: Drains
    started: float = 0.0
    upstream_ms: float = 0.0
    status: int = 0
    first_byte_at: datetime | None = None

    @property
    def cost(self) -> Nanos:
        return bill_for([self.meter.ending], estimate=self.hold.held).cost

    def clock_upstream(self) -> None:
        self.upstream_ms = (perf_counter() - self.started) * 1000

    def headers(self, reply: Reply, *, cost: Nanos | None) -> Headers:
        passed = {}
        for name, ours in (
            ("x-request-id", "x-upstream-request-id"),
            ("openai-processing-ms", "openai-processing-ms"),
        ):
            if value := reply.header(name):
                passed[ours] = value.encode("ascii", "ignore").decode()[:255]
        explained = plan_headers(self.plan, self.hold, upstream_ms=self.upstream_ms, cost=cost)
        return explained + encode_headers(passed.items())


async def forward(attempt: Attempt, transport: Transport) -> None:
    """Send, relay and meter. Raises Failure when the client must be told of an error."""
    plan, meter = attempt.plan, attempt.meter
    outbound = plan.route.dialect.build(outbound_request(attempt))
    attempt.started = perf_counter()
    meter.send()
    try:
        async with transport.exchange(outbound, plan.route.timeouts) as reply:
            attempt.status = reply.status
            attempt.clock_upstream()
            if not 200 <= reply.status < 300:
                await pass_error(attempt, reply)
            elif is_event_stream(reply):
                await relay_stream(attempt, reply)
            else:
                await relay_answer(attempt, reply)
    except Unsent:
        meter.unsend()
        raise Failure(502, "upstream_error", "The upstream cannot be reached.") from None
    except Silent:
        text = "The upstream did not answer in time."
        raise Failure(504, "upstream_timeout", text, headers=NO_RETRY) from None
    except (Broken, EventTooLong):
        text = "The upstream closed the stream early." if plan.call.stream else CUT_SHORT
        raise Failure(502, "upstream_error", text) from None


CUT_SHORT = "The upstream's answer broke off."


def outbound_request(attempt: Attempt) -> Request:
    plan = attempt.plan
    call, card = plan.call, plan.route.card
    return Request(
        endpoint=call.endpoint,
        address=card.address,
        secret=card.secret,
        api_version=card.api_version,
        upstream_model=plan.route.upstream_model,
        body=call.body,
        stream=call.stream,
        output_tokens_cap=plan.estimate.output_tokens_cap if attempt.hold.bounded else None,
        forwarded={name: call.headers[name] for name in PASSED_HEADERS if name in call.headers},
        call_id=str(call.id),
        terms=card.terms,
    )


def is_event_stream(reply: Reply) -> bool:
    return (reply.header("content-type") or "").lower().startswith("text/event-stream")


# -- a plain answer ------------------------------------------------------------------------------


async def relay_answer(attempt: Attempt, reply: Reply) -> None:
    raw = await read_whole(reply)
    attempt.clock_upstream()
    body = parse_answer(raw, reply)
    if body is None or is_error_body(body):
        attempt.meter.reject()
        if body is not None:
            attempt.meter.read_answer(body)
        raise Failure(502, "upstream_error", "The upstream's answer cannot be used.")
    attempt.meter.read_answer(body)
    headers = JSON_HEADERS + attempt.headers(reply, cost=attempt.cost)
    attempt.outlet.open(Answer(200, headers, raw))


async def read_whole(reply: Reply) -> bytes:
    chunks = []
    size = 0
    while (chunk := await reply.read_chunk()) is not None:
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            raise Broken("the answer is too large")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_answer(raw: bytes, reply: Reply) -> Mapping[str, Any] | None:
    if (reply.header("content-encoding") or "identity").lower() != "identity":
        return None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


async def pass_error(attempt: Attempt, reply: Reply) -> None:
    """The upstream said no: its error, without its secrets; nothing is billed."""
    body = parse_answer(await read_whole(reply), reply)
    attempt.meter.reject()
    if body is not None:
        attempt.meter.read_answer(body)
    raise failure_of(reply, body, secret=attempt.plan.route.card.secret)


# -- a stream ------------------------------------------------------------------------------------


async def relay_stream(attempt: Attempt, reply: Reply) -> None:
    """Events pass unchanged, but for the usage chunk; once the client has left they only drain."""
    outlet, meter = attempt.outlet, attempt.meter
    headers = STREAM_HEADERS + attempt.headers(reply, cost=None)
    outlet.open(Answer(200, headers, None))
    splitter = EventSplitter()
    async with attempt.drains.bound(outlet):
        while (chunk := await reply.read_chunk()) is not None:
            attempt.first_byte_at = attempt.first_byte_at or datetime.now(UTC)
            kept = [relayed_event(event, attempt) for event in splitter.feed(chunk)]
            if passed := b"".join(kept):
                await outlet.put(passed)
        if rest := splitter.rest():
            await outlet.put(relayed_event(rest, attempt))
    if not meter.is_whole:
        raise Broken("the stream ended early")


def relayed_event(event: bytes, attempt: Attempt) -> bytes:
    """The event as the client gets it; empty if it is hidden."""
    usage_chunk = attempt.meter.watch(event)
    if usage_chunk is None:
        return event
    if not attempt.plan.call.wants_usage:
        return b""
    if not settings.STREAM_COST:
        return event
    return usage_event(usage_chunk, attempt.cost)
