"""Patience: how long an upstream is waited for, and how long all attempts of a call may take."""

from dataclasses import replace

from django.conf import settings

from proxy.deployment_cards import DeploymentCard
from proxy.upstreams.contract import Timeouts


def timeouts_of(card: DeploymentCard, *, stream: bool, seconds: float | None = None) -> Timeouts:
    """The deployment's own, or the settings'; a plain call's are lowered to `seconds` altogether,
    a stream's for its beginning."""
    terms = card.terms
    total: float = terms.get("total_timeout") or _total_seconds(stream=stream)
    if stream:
        first_byte: float = card.stream_timeout_seconds or settings.STREAM_FIRST_BYTE_SECONDS
    else:
        first_byte = card.timeout_seconds or settings.FIRST_BYTE_SECONDS
        total = card.timeout_seconds or total
    if seconds is not None:
        first_byte = min(first_byte, seconds)
        total = total if stream else min(total, seconds)
    return Timeouts(
        connect_seconds=terms.get("connect_timeout") or settings.CONNECT_SECONDS,
        first_byte_seconds=first_byte,
        between_chunks_seconds=terms.get("chunk_timeout") or settings.BETWEEN_CHUNKS_SECONDS,
        total_seconds=total,
    )


def call_seconds(card: DeploymentCard, *, stream: bool, seconds: float | None = None) -> float:
    """What all attempts of a call may take together."""
    total: float = card.terms.get("total_timeout") or _total_seconds(stream=stream)
    if stream:
        return total
    total = max(total, card.timeout_seconds or 0)
    return total if seconds is None else min(total, seconds)


def shortened(timeouts: Timeouts, *, left_seconds: float, begin_seconds: float) -> Timeouts:
    """For an attempt of a call that has so much time left, and so much until it should begin."""
    return replace(
        timeouts,
        first_byte_seconds=min(timeouts.first_byte_seconds, left_seconds, begin_seconds),
        total_seconds=min(timeouts.total_seconds, left_seconds),
    )


def _total_seconds(*, stream: bool) -> float:
    return settings.STREAM_TOTAL_SECONDS if stream else settings.TOTAL_SECONDS
