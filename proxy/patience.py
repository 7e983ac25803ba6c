"""Patience: how long an upstream is waited for, and how long all attempts of a call may take."""

from dataclasses import replace

from django.conf import settings

from proxy.deployment_cards import DeploymentCard
from proxy.upstreams.contract import Timeouts


def patience_with(
    card: DeploymentCard, *, stream: bool, seconds: float | None = None
) -> tuple[Timeouts, float]:
    """Of one attempt, and of all attempts of a call together; the deployment's own, or the
    settings'. `seconds`, the client's own, bound a plain call, or the beginning of a stream."""
    terms = card.terms
    connect, gap = settings.CONNECT_SECONDS, settings.BETWEEN_CHUNKS_SECONDS
    total: float = settings.STREAM_TOTAL_SECONDS if stream else settings.TOTAL_SECONDS
    if terms:
        connect = terms.get("connect_timeout") or connect
        gap = terms.get("chunk_timeout") or gap
        total = terms.get("total_timeout") or total
    if stream:
        first_byte: float = card.stream_timeout_seconds or settings.STREAM_FIRST_BYTE_SECONDS
        if seconds is not None:
            first_byte = min(first_byte, seconds)
        return Timeouts(connect, first_byte, gap, total), total
    own = card.timeout_seconds
    first_byte, once, total = own or settings.FIRST_BYTE_SECONDS, own or total, max(total, own or 0)
    if seconds is not None:
        first_byte, once, total = min(first_byte, seconds), min(once, seconds), min(total, seconds)
    return Timeouts(connect, first_byte, gap, once), total


def shortened(timeouts: Timeouts, *, left_seconds: float, begin_seconds: float) -> Timeouts:
    """For an attempt of a call that has so much time left, and so much until it should begin."""
    return replace(
        timeouts,
        first_byte_seconds=min(timeouts.first_byte_seconds, left_seconds, begin_seconds),
        total_seconds=min(timeouts.total_seconds, left_seconds),
    )
