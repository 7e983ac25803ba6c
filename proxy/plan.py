"""Plan: all that was decided before money moves."""

from dataclasses import dataclass
from time import perf_counter

from django.conf import settings

from proxy.call import Call, label
from proxy.rate_limits import Pace, RateLimits
from proxy.routing import Route
from proxy.tagging import CollectedTags
from proxy.wishes import NO_WISHES, Wishes
from spend.estimate import Estimate, estimate_cost
from spend.ledger import Intent


@dataclass(frozen=True, slots=True)
class Plan:
    call: Call
    tags: CollectedTags
    tag_set: int
    route: Route
    estimate: Estimate
    rate_limits: tuple[RateLimits, ...]
    started: float  # perf_counter, for durations only
    pace: Pace | None = None  # once its rate limits were looked up
    wishes: Wishes = NO_WISHES
    retries: int = 0  # attempts behind the first of each model
    fallbacks: int = 0  # models that were tried instead of the one asked for

    def milliseconds(self) -> float:
        return (perf_counter() - self.started) * 1000

    @property
    def intent(self) -> Intent:
        call, card = self.call, self.route.card
        agent = call.headers.get("user-agent")
        return Intent(
            endpoint=call.endpoint.name,
            stream=call.stream,
            key_id=call.key.id,
            key_alias=call.key.alias,
            key_digest=call.key.digest,
            tag_set=self.tag_set,
            model=call.model,
            upstream_model=self.route.upstream_model,
            deployment_id=card.id,
            provider=card.provider,
            price_id=self.route.tariff.price_uuid,
            client_request_id=call.client_request_id,
            end_user=call.end_user,
            session_id=call.session_id,
            user_agent=label(agent) if agent else None,
            address=call.address,
            metadata=call.logged_metadata(),
        )


def estimate_of(call: Call, route: Route) -> Estimate:
    """Raises Failure, or ModelNotPriced."""
    tariff, limits = route.tariff, route.card.limits
    return estimate_cost(
        call.endpoint.size_of(call, tariff, limits),
        [(tariff, limits)],
        strict_max_output=settings.STRICT_MAX_OUTPUT,
    )
