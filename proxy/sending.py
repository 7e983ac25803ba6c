"""Sending: one attempt at an upstream; its answer is relayed to the outlet and metered."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from proxy.answers import (
    JSON_HEADERS,
    KEEP_ALIVE,
    STREAM_HEADERS,
    Answer,
    usage_event,
)
from proxy.attempt import Attempt
from proxy.drains import Drained
from proxy.errors import NO_RETRY
from proxy.relay import Outlet
from proxy.streaming import EventSplitter, EventTooLong
from proxy.upstreams.contract import Broken, Reply, Request, Silent, Transport, Unsent
from proxy.upstreams.failures import (
    failure_of,
    failure_within,
    is_error_body,
    upstream_failure,
)

ANSWER_BYTES_MAX = 64 * 1024 * 1024
LATE_SECONDS = 5.0  # for what an upstream says after [DONE]: a usage, or that it is through

UNREACHABLE = "The upstream cannot be reached."
TOO_SLOW = "The upstream did not answer in time."
CLOSED_EARLY = "The upstream closed the stream early."
CUT_SHORT = "The upstream's answer broke off."
UNUSABLE = "The upstream's answer cannot be used."

PASSED_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta", "traceparent", "tracestate")


async def send(attempt: Attempt, transport: Transport) -> None:
    """Send, relay and meter. Raises Failure when the client must be told of an error."""
    plan, meter = attempt.plan, attempt.meter
    outbound = plan.route.dialect.build(outbound_request(attempt))
    attempt.start()
    meter.send()
    try:
        async with transport.exchange(outbound, plan.route.timeouts) as reply:
            attempt.hear(reply)
            await relay(attempt, reply)
    except Unsent:
        meter.unsend()
        raise upstream_failure(502, "upstream_error", UNREACHABLE) from None
    except Silent:
        raise upstream_failure(504, "upstream_timeout", TOO_SLOW, NO_RETRY) from None
    except (Broken, EventTooLong) as error:
        attempt.is_dropped = isinstance(error, Drained)
        text = CLOSED_EARLY if plan.call.stream else CUT_SHORT
        raise upstream_failure(502, "upstream_error", text) from None


async def relay(attempt: Attempt, reply: Reply) -> None:
    if not 200 <= reply.status < 300:
        await pass_error(attempt, reply)
    elif (reply.header("content-encoding") or "identity").lower() != "identity":
        attempt.meter.reject()  # we asked for identity, and decode nothing
        raise upstream_failure(502, "upstream_error", UNUSABLE)
    elif is_event_stream(reply):
        await relay_stream(attempt, reply)
    elif media_type_of(reply).startswith(attempt.plan.call.endpoint.answers_in):
        await relay_bytes(attempt, reply)
    else:
        await relay_answer(attempt, reply)


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
        upload=call.upload,
    )


def is_event_stream(reply: Reply) -> bool:
    return media_type_of(reply).startswith("text/event-stream")


def media_type_of(reply: Reply) -> str:
    return (reply.header("content-type") or "").lower()


# -- a plain answer ------------------------------------------------------------------------------


async def relay_answer(attempt: Attempt, reply: Reply) -> None:
    raw = await reply.read_whole(bytes_max=ANSWER_BYTES_MAX)
    attempt.clock_upstream()
    body = parse_answer(raw)
    if body is None:
        if not raw.lstrip().startswith(b"{"):  # else an answer was begun, and may be billed
            attempt.meter.reject()
        raise upstream_failure(502, "upstream_error", UNUSABLE)
    if is_error_body(body):
        attempt.meter.reject()
    attempt.meter.read_answer(body)
    if is_error_body(body):
        raise failure_within(body["error"], secret=attempt.plan.route.card.secret)
    attempt.outlet.open(Answer(200, JSON_HEADERS + attempt.explain(), raw))


async def relay_bytes(attempt: Attempt, reply: Reply) -> None:
    """What is no JSON tells nothing of its cost: the meter knows that from the call."""
    raw = await reply.read_whole(bytes_max=ANSWER_BYTES_MAX)
    attempt.clock_upstream()
    if not raw and not attempt.plan.call.endpoint.may_say_nothing:
        raise upstream_failure(502, "upstream_error", UNUSABLE)
    attempt.meter.read_bytes(raw)
    kind = (reply.header("content-type") or "").encode("ascii", "ignore")
    attempt.outlet.open(Answer(200, [(b"content-type", kind), *attempt.explain()], raw))


def parse_answer(raw: bytes) -> Mapping[str, Any] | None:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


async def pass_error(attempt: Attempt, reply: Reply) -> None:
    """The upstream said no: its error, without its secrets; nothing is billed."""
    attempt.meter.reject()
    body = parse_answer(await reply.read_whole(bytes_max=ANSWER_BYTES_MAX))
    if body is not None:
        attempt.meter.read_answer(body)
    raise failure_of(reply, body, secret=attempt.plan.route.card.secret)


# -- a stream ------------------------------------------------------------------------------------


async def relay_stream(attempt: Attempt, reply: Reply) -> None:
    """Events pass unchanged, but for the usage chunk; once the client has left they only drain.

    The head is sent with the first event, so that an earlier failure keeps its own status; or when
    the upstream has been silent for so long that the client should hear of us.
    """
    outlet, meter = attempt.outlet, attempt.meter
    head = Answer(200, STREAM_HEADERS + attempt.explain(with_cost=False), None)
    splitter = EventSplitter(attempt.plan.call.endpoint.event_bytes_max)
    with opened_in_silence(outlet, head):
        async with attempt.drains.bound(outlet):
            while (chunk := await next_chunk(attempt, reply)) is not None:
                await relay_events(splitter.feed(chunk), attempt, head)
            await relay_events(splitter.end(), attempt, head)
    if not meter.is_whole:
        raise Broken("the stream ended early")


@contextmanager
def opened_in_silence(outlet: Outlet, head: Answer) -> Iterator[None]:
    seconds = settings.STREAM_HEARTBEAT_SECONDS
    loop = asyncio.get_running_loop()
    opening = loop.call_later(seconds, outlet.open, head, KEEP_ALIVE) if seconds else None
    try:
        yield
    finally:
        if opening is not None:
            opening.cancel()


async def next_chunk(attempt: Attempt, reply: Reply) -> bytes | None:
    """After [DONE] what comes late is still welcome, but nothing is wrong if nothing comes."""
    if not attempt.meter.is_done:
        chunk = await reply.read_chunk()
        attempt.first_byte_at = attempt.first_byte_at or datetime.now(UTC)
        return chunk
    try:
        async with asyncio.timeout(LATE_SECONDS):
            return await reply.read_chunk()
    except (TimeoutError, Broken):
        return None


async def relay_events(events: Sequence[bytes], attempt: Attempt, head: Answer) -> None:
    """Raises Silent when a stream that lives on comments has said nothing for too long."""
    meter, outlet = attempt.meter, attempt.outlet
    kept = []
    for event in events:
        kept.append(relayed_event(event, attempt))
        if meter.error is not None:
            break
    if passed := b"".join(kept):
        outlet.open(head)
        await outlet.put(passed, is_last=meter.is_done)
    if meter.error is not None:
        raise failure_within(meter.error, secret=attempt.plan.route.card.secret)
    if meter.silent_seconds() > attempt.plan.route.timeouts.between_chunks_seconds:
        raise Silent("nothing but comments")


def relayed_event(event: bytes, attempt: Attempt) -> bytes:
    """The event as the client gets it; empty if it is hidden."""
    usage_chunk = attempt.meter.watch(event)
    if usage_chunk is None:
        return b"" if attempt.meter.error is not None else event
    if not attempt.plan.call.wants_usage:
        return b""
    if not settings.STREAM_COST or not isinstance(usage_chunk["usage"], dict):
        return event
    return usage_event(usage_chunk, attempt.bill.cost)
