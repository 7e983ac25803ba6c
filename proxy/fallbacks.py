"""Fallbacks: the models to try instead of the one that was asked for, each as if it had been."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.call import Call
from proxy.errors import Failure
from proxy.routing import Route, choose_route
from proxy.tagging import CollectedTags
from proxy.wishes import FALLBACKS_MAX, Wishes

if TYPE_CHECKING:
    from proxy.worker import Worker

# Why a model cannot be tried at all, though nothing is wrong with the call.
OUT_OF_ORDER = ("no_healthy_deployment", "upstream_auth_error")
PER_ERROR = "context_window_fallbacks"


async def choose_first_route(
    call: Call, tags: CollectedTags, wishes: Wishes, worker: "Worker"
) -> tuple[Route, int]:
    """The route, and how many models were passed by for it. Raises Failure."""
    try:
        route = await choose_route(
            call, call.model, tags, worker.directory, worker.cooldowns, wishes
        )
    except Failure as failure:
        if failure.type not in OUT_OF_ORDER:
            raise
        await _check(call, tags, wishes, worker)
        return await _choose_other(call, tags, wishes, worker, failure)
    if wishes.fallbacks:
        await _check(call, tags, wishes, worker)
    return route, 0


async def fallback_names(
    call: Call, wishes: Wishes, worker: "Worker", *, kind: str = "fallbacks"
) -> Sequence[str]:
    """The client's wish, else what the model's deployments say; each name once.

    What goes on from an earlier answer has no fallback: no other model has that.
    """
    if call.endpoint.continues and call.body.get(call.endpoint.continues):
        return ()
    names: Sequence[str] | None = wishes.fallbacks
    if names is None or (names and kind == PER_ERROR):
        catalogue = await worker.directory.catalogue()
        cards = catalogue.find(call.model)
        names = next((card.terms[kind] for card in cards if card.terms.get(kind)), ())
    return [name for name in dict.fromkeys(names) if name != call.model][:FALLBACKS_MAX]


async def _choose_other(
    call: Call, tags: CollectedTags, wishes: Wishes, worker: "Worker", failure: Failure
) -> tuple[Route, int]:
    for name in await fallback_names(call, wishes, worker):
        try:
            route = await choose_route(call, name, tags, worker.directory, worker.cooldowns, wishes)
        except Failure:  # not for this call, or out of order as well
            continue
        return route, 1
    raise failure


async def _check(call: Call, tags: CollectedTags, wishes: Wishes, worker: "Worker") -> None:
    """Each model that the client names passes all checks of `model`, needed or not."""
    for n, name in enumerate(wishes.fallbacks or ()):
        try:
            await choose_route(call, name, tags, worker.directory, worker.cooldowns, wishes)
        except Failure as failure:
            if failure.type in OUT_OF_ORDER:
                continue
            param = f"fallbacks[{n}]" if failure.param == "model" else failure.param
            raise replace(failure, param=param) from None
