"""Forwarding: a call's attempts, one by one, until one answers or nothing is left to try."""

from typing import TYPE_CHECKING

from proxy.attempt import Attempt
from proxy.errors import Failure
from proxy.retrying import note_failure, try_again
from proxy.routing import no_healthy_deployment
from proxy.sending import send

if TYPE_CHECKING:
    from proxy.worker import Worker


async def forward(attempt: Attempt, worker: "Worker") -> None:
    """Raises Failure, that of the last attempt, when the client must be told of an error."""
    while True:
        try:
            return await _send(attempt, worker)
        except Failure as failure:
            note_failure(attempt, failure, worker.cooldowns)
            if not await try_again(attempt, failure, worker):
                raise


async def _send(attempt: Attempt, worker: "Worker") -> None:
    card, cooldowns = attempt.plan.route.card, worker.cooldowns
    if not cooldowns.is_quiet and not cooldowns.may_send(card):  # it cools only since it was chosen
        raise no_healthy_deployment()
    await send(attempt, worker.transport)
    if not cooldowns.is_quiet:
        cooldowns.succeed(card)
