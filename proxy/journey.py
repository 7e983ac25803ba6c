"""A call's journey: plan it, then carry it out in a task that the client cannot cancel."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from proxy.answers import Answer
from proxy.attempt import Attempt
from proxy.call import Call
from proxy.explaining import plan_headers
from proxy.fallbacks import choose_first_route
from proxy.forwarding import forward
from proxy.plan import Plan, estimate_of
from proxy.rate_limits import limits_of
from proxy.recording import record_of
from proxy.relay import Outlet
from proxy.tagging import collect_tags
from proxy.throttling import Throttle
from proxy.wishes import read_wishes
from spend.errors import LedgerError
from spend.holds import Hold
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
    wishes = read_wishes(call)
    tags = await collect_tags(call, worker.directory)
    route, fallbacks = await choose_first_route(call, tags, wishes, worker)
    estimate = estimate_of(call, route)
    tag_set = await worker.intern_tags(tags.names)
    rate_limits = limits_of(call.key, tags.cards)
    return Plan(
        call, tags, tag_set, route, estimate, rate_limits, started,
        wishes=wishes, fallbacks=fallbacks,
    )  # fmt: skip


async def carry_out(plan: Plan, outlet: Outlet, worker: "Worker") -> None:
    """Reserve, forward, relay, settle. Every way out, cancellation too, closes the hold once."""
    attempt = None
    try:
        async with outlet, worker.throttle.slot(plan) as plan:  # the client hears of any error
            outlet.explain = partial(plan_headers, plan)
            hold = await reserve(plan, worker)
            meter = plan.call.endpoint.meter(plan.call, plan.route)
            attempt = Attempt(
                plan, hold, meter, outlet, worker.drains, hold.held, plan.route.seconds
            )
            outlet.explain = attempt.explain
            if not outlet.client_has_left():  # held, but not sent: nobody waits for it
                await forward(attempt, worker)
    finally:
        plan.call.close()
        if attempt is not None:
            close_hold(attempt, worker.ledger, worker.throttle)
            worker.counters.count_call(attempt)


async def reserve(plan: Plan, worker: "Worker") -> Hold:
    """The hold, counted, as is its refusal."""
    try:
        hold = await worker.ledger.reserve(
            plan.call.id,
            plan.intent,
            plan.tags.draws,
            plan.estimate,
            seconds=plan.route.hold_seconds,
        )
    except LedgerError as error:
        worker.counters.count_turned_away(error)
        raise
    worker.counters.count_admitted(hold)
    return hold


def close_hold(attempt: Attempt, ledger: Ledger, throttle: Throttle) -> None:
    """Hand the hold back with its bill. Nothing is awaited, so nothing can come in between."""
    ledger.settle(attempt.hold, attempt.bill, record_of(attempt))
    throttle.count_tokens(attempt.plan, attempt.bill.usage)
