"""A call's journey: plan it, then carry it out in a task that the client cannot cancel."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from django.conf import settings

from proxy.answers import Answer
from proxy.call import Call
from proxy.explaining import plan_headers
from proxy.forwarding import Attempt, forward
from proxy.plan import Plan
from proxy.rate_limits import limits_of
from proxy.relay import CLIENT_CLOSED, Outlet
from proxy.routing import choose_route
from proxy.tagging import collect_tags
from proxy.throttling import Throttle
from spend.billing import Record
from spend.estimate import estimate_cost
from spend.ledger import Ledger

if TYPE_CHECKING:
    from proxy.worker import Worker


async def answer_call(
    call: Call, worker: "Worker", has_left: Callable[[], bool]
) -> tuple[Answer, Outlet]:
    """The answer's head, and the outlet whose chunks follow it. Raises Failure or Refused."""
    plan = await plan_call(call, worker)
    # All that the client ever touches.
    outlet = Outlet(has_left, partial(plan_headers, plan), call.endpoint.errors)
    worker.tasks.start(carry_out(plan, outlet, worker), name="journey")
    return await outlet.answer(), outlet


async def plan_call(call: Call, worker: "Worker") -> Plan:
    """Decide everything, hold nothing: until here a client may leave without a trace."""
    started = perf_counter()
    tags = await collect_tags(call, worker.directory)
    route = await choose_route(call, tags, worker.directory)
    estimate = estimate_cost(
        call.endpoint.size_of(call, route.tariff, route.card.limits),
        [(route.tariff, route.card.limits)],
        strict_max_output=settings.STRICT_MAX_OUTPUT,
    )
    tag_set = await worker.intern_tags(tags.names)
    rate_limits = limits_of(call.key, tags.cards)
    return Plan(call, tags, tag_set, route, estimate, rate_limits, started)


async def carry_out(plan: Plan, outlet: Outlet, worker: "Worker") -> None:
    """Reserve, forward, relay, settle. Every way out, cancellation too, closes the hold once."""
    attempt = None
    try:
        async with outlet, worker.throttle.slot(plan) as plan:  # the client hears of any error
            outlet.explain = partial(plan_headers, plan)
            hold = await worker.ledger.reserve(
                plan.call.id,
                plan.intent,
                plan.tags.draws,
                plan.estimate,
                seconds=plan.route.hold_seconds,
            )
            meter = plan.call.endpoint.meter(plan.call, plan.route)
            attempt = Attempt(plan, hold, meter, outlet, worker.drains)
            outlet.explain = attempt.explain
            if not outlet.client_has_left():  # held, but not sent: nobody waits for it
                await forward(attempt, worker.transport)
    finally:
        if attempt is not None:
            close_hold(attempt, worker.ledger, worker.throttle)


def close_hold(attempt: Attempt, ledger: Ledger, throttle: Throttle) -> None:
    """Hand the hold back with its bill. Nothing is awaited, so nothing can come in between."""
    ledger.settle(attempt.hold, attempt.bill, record_of(attempt))
    throttle.count_tokens(attempt.plan, attempt.bill.usage)


def record_of(attempt: Attempt) -> Record:
    outlet, meter = attempt.outlet, attempt.meter
    failure, has_left = outlet.failure, outlet.hung_up
    status = failure.status if failure else 200
    milliseconds = int((perf_counter() - attempt.started) * 1000) if attempt.started else 0
    return Record(
        http_status=CLIENT_CLOSED if has_left else status,
        ended_at=datetime.now(UTC),
        first_byte_at=attempt.first_byte_at,
        client_disconnected=has_left,
        upstream_model=meter.upstream_model,
        upstream_request_id=meter.upstream_request_id or None,
        attempts=[
            {
                "model_id": attempt.plan.route.card.id_text,
                "status": attempt.status or None,
                "ms": milliseconds,
            }
        ],
        error=failure.error() if failure else None,
        flags=("drained",) if has_left and meter.is_whole and attempt.plan.call.stream else (),
    )
