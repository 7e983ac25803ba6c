"""Retrying: what may be tried again, where, after what wait, and with what held for it.

An attempt whose ending is unknown may have been billed: it is billed, and another one is sent only
if both fit into what the call's budgets hold (README, D22).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from django.conf import settings

from proxy.attempt import Attempt
from proxy.cooldown import Cooldowns
from proxy.errors import Failure
from proxy.fallbacks import PER_ERROR, fallback_names
from proxy.patience import shortened
from proxy.pauses import pause, pause_seconds
from proxy.plan import Plan, estimate_of
from proxy.routing import Route, choose_route, healthy_cards, pick_card, route_to
from proxy.upstreams.failures import CREDENTIAL_REFUSED
from spend.billing import Unknown
from spend.errors import ModelNotPriced, NoRoom, Unavailable
from spend.estimate import Estimate
from spend.ledger import Hold
from spend.money import Nanos

if TYPE_CHECKING:
    from proxy.worker import Worker

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
CONTEXT_TOO_LONG = "context_length_exceeded"


@dataclass(frozen=True, slots=True)
class Further:
    """Where the call may be tried next, and after what pause."""

    route: Route
    seconds: float = 0.0
    retries: int = 0
    fallbacks: int = 0


def note_failure(attempt: Attempt, failure: Failure, cooldowns: Cooldowns) -> None:
    """What it says of the deployment. A call counts once, however often it was tried there."""
    card = attempt.plan.route.card
    if failure.source != "upstream" or attempt.is_dropped:
        return
    if not is_deployments_fault(attempt):
        if not cooldowns.is_quiet and is_answered(attempt):
            cooldowns.succeed(card)
    elif all(tried.plan.route.card.id != card.id for tried in attempt.tried):
        cooldowns.fail(card)


def is_answered(attempt: Attempt) -> bool:
    return attempt.status > 0 and not isinstance(attempt.meter.ending, Unknown)


def is_deployments_fault(attempt: Attempt) -> bool:
    """Not what is wrong with the call, nor that the client has less patience than we have."""
    status = attempt.status
    if isinstance(attempt.meter.ending, Unknown):
        return attempt.plan.wishes.seconds is None
    return not 400 <= status < 500 or status == 429 or status in CREDENTIAL_REFUSED


async def try_again(attempt: Attempt, failure: Failure, worker: "Worker") -> bool:
    """Whether the attempt was begun anew, so that it is to be sent: at another deployment of the
    model, at the same one after a pause, or with another model."""
    outlet = attempt.outlet
    if outlet.is_open or outlet.client_has_left():  # it has a byte already, or wants none
        return False
    if may_retry(attempt):
        again = _retry(attempt, failure, worker.cooldowns)
        if again is not None and await _begin(attempt, again, failure, worker):
            return True
    for name in await _other_models(attempt, failure, worker):
        other = await _fallback(attempt, name, worker)
        if other is not None and await _begin(attempt, other, failure, worker):
            return True
    return False


async def _begin(attempt: Attempt, further: Further, failure: Failure, worker: "Worker") -> bool:
    plan = _plan_further(attempt, further)
    if plan is None or not await pause(attempt.outlet, further.seconds):
        return False
    hold = await _room_for(attempt, plan.estimate, worker, anew=further.fallbacks > 0)
    if hold is None:
        return False
    attempt.begin_again(plan, hold, _share(hold, plan.estimate), error=failure.type)
    return True


# -- where -----------------------------------------------------------------------------------------


def may_retry(attempt: Attempt) -> bool:
    if isinstance(attempt.meter.ending, Unknown):
        return bool(settings.RETRY_AFTER_TIMEOUT)
    return not attempt.status or attempt.status in RETRIED


def may_fall_back(attempt: Attempt) -> bool:
    """Another model cannot cure what is wrong with the call."""
    if isinstance(attempt.meter.ending, Unknown):
        return bool(settings.RETRY_AFTER_TIMEOUT)
    status = attempt.status
    return not 400 <= status < 500 or status in RETRIED or status in CREDENTIAL_REFUSED


def _retry(attempt: Attempt, failure: Failure, cooldowns: Cooldowns) -> Further | None:
    plan, route = attempt.plan, attempt.plan.route
    earlier = (over.plan.route for over in attempt.tried)
    tried = [before.card.id for before in earlier if before.model == route.model]
    if attempt.started:
        tried.append(route.card.id)
    if len(tried) > retries_max(plan):
        return None
    healthy = healthy_cards(route.cards, route.model, cooldowns)
    fresh = [card for card in healthy if card.id not in tried]
    seconds = 0.0
    if not fresh:
        wait = pause_seconds(len(tried), failure)
        if wait is None or not healthy:
            return None
        seconds = wait
    with suppress(Failure):  # it has no price
        card = pick_card(fresh or healthy)
        return Further(
            route_to(card, route.cards, plan.call, route.model, plan.wishes), seconds, retries=1
        )
    return None


def retries_max(plan: Plan) -> int:
    """The deployment's own number, or the setting's; lowered if the call asks for that."""
    own = plan.route.card.max_retries
    configured: int = settings.RETRIES_MAX if own is None else own
    asked = plan.wishes.retries
    return configured if asked is None else min(asked, configured)


async def _other_models(attempt: Attempt, failure: Failure, worker: "Worker") -> Sequence[str]:
    """Those that were not tried yet; none, if they could not cure it."""
    plan = attempt.plan
    kind = PER_ERROR if failure.code == CONTEXT_TOO_LONG else "fallbacks"
    if kind != PER_ERROR and not may_fall_back(attempt):
        return ()
    used = {plan.route.model, *(tried.plan.route.model for tried in attempt.tried)}
    try:
        names = await fallback_names(plan.call, plan.wishes, worker, kind=kind)
    except Unavailable:  # then the client is told what the upstream said
        return ()
    return [name for name in names if name not in used]


async def _fallback(attempt: Attempt, name: str, worker: "Worker") -> Further | None:
    plan = attempt.plan
    try:
        route = await choose_route(
            plan.call, name, plan.tags, worker.directory, worker.cooldowns, plan.wishes
        )
    except (Failure, Unavailable):  # not for this call, or out of order as well
        return None
    return Further(route, fallbacks=1)


# -- with what held --------------------------------------------------------------------------------


def _plan_further(attempt: Attempt, further: Further) -> Plan | None:
    """None when there is no time left for it, or no price, or no bound where one is needed."""
    plan, route = attempt.plan, further.route
    passed = perf_counter() - attempt.began + further.seconds if attempt.began else 0.0
    left = attempt.seconds - passed
    wish = plan.wishes.seconds
    begin = left if wish is None else wish - passed
    if left <= 0 or begin <= 0:
        return None
    try:
        estimate = estimate_of(plan.call, route)
    except (Failure, ModelNotPriced):
        return None
    if attempt.hold.bounded and estimate.bound is None:
        return None
    timeouts = shortened(route.timeouts, left_seconds=left, begin_seconds=begin)
    return replace(
        plan,
        route=replace(route, timeouts=timeouts),
        estimate=estimate,
        retries=plan.retries + (further.retries if attempt.started else 0),
        fallbacks=plan.fallbacks + further.fallbacks,
    )


async def _room_for(
    attempt: Attempt, estimate: Estimate, worker: "Worker", *, anew: bool
) -> Hold | None:
    """The hold that covers what is owed and this attempt; None if there is no room for both.

    Nearly always the hold covers it as it stands; another model is judged anew all the same.
    """
    hold, owed = attempt.hold, attempt.bill.cost
    is_covered = owed + _share(hold, estimate) <= hold.held and all(
        owed + _amount(estimate, is_strict=window.is_strict) <= held
        for window, held in zip(hold.windows, hold.holds, strict=True)
    )
    if is_covered and not anew:
        return hold
    try:
        return await worker.ledger.add_attempt(hold, owed, estimate)
    except NoRoom:
        attempt.had_no_room = True
    except Unavailable:
        pass
    return None


def _share(hold: Hold, estimate: Estimate) -> Nanos:
    """What the attempt costs if its ending is unknown: the largest amount that it is held at."""
    amounts = [_amount(estimate, is_strict=window.is_strict) for window in hold.windows]
    return max([estimate.expected, *amounts])


def _amount(estimate: Estimate, *, is_strict: bool) -> Nanos:
    return estimate.bound if is_strict and estimate.bound is not None else estimate.expected
