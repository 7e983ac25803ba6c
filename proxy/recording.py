"""Recording: what a call's row tells of it, but for the money."""

from datetime import UTC, datetime
from typing import Any

from proxy.attempt import Attempt
from proxy.relay import CLIENT_CLOSED
from spend.billing import Record


def record_of(attempt: Attempt) -> Record:
    outlet, meter, route = attempt.outlet, attempt.meter, attempt.plan.route
    failure, has_left = outlet.failure, outlet.hung_up
    status = failure.status if failure else 200
    return Record(
        http_status=CLIENT_CLOSED if has_left else status,
        ended_at=datetime.now(UTC),
        first_byte_at=attempt.first_byte_at,
        client_disconnected=has_left,
        upstream_model=meter.upstream_model
        or (route.upstream_model if attempt.is_further else None),
        upstream_request_id=meter.upstream_request_id or None,
        deployment_id=route.card.id if attempt.is_further else None,
        provider=route.card.provider if attempt.is_further else None,
        attempts=_attempts(attempt),
        error=failure.error() if failure else None,
        flags=tuple(_flags(attempt)),
    )


def _attempts(attempt: Attempt) -> list[dict[str, Any]]:
    last: dict[str, Any] = {
        "model_id": attempt.plan.route.card.id_text,
        "status": attempt.status or None,
        "ms": attempt.milliseconds,
    }
    if not attempt.tried:
        return [last]
    failure = attempt.outlet.failure
    last |= {"cost": attempt.own_bill.cost, "error": failure.type if failure else None}
    return [*(tried.told() for tried in attempt.tried), last]


def _flags(attempt: Attempt) -> list[str]:
    flags = []
    if attempt.outlet.hung_up and attempt.meter.is_whole and attempt.plan.call.stream:
        flags.append("drained")
    if any(tried.bill.status == "estimated" for tried in attempt.tried):
        flags.append("estimated_attempt")
    if attempt.plan.call.sound.is_guessed and attempt.bill.usage_source == "counted":
        flags.append("guessed_length")
    if attempt.had_no_room:
        flags.append("no_room_to_retry")
    return flags
