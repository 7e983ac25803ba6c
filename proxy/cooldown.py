"""Cooldown: a deployment that failed several calls in a row is left alone for a while.

Each worker learns it by itself: that takes a few calls, and a shared memory would be one more
thing that every call depends on.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from django.conf import settings

from proxy.deployment_cards import DeploymentCard

FAILING_MAX = 1_000  # past it the one that began to fail first is forgotten

Key = tuple[UUID, str]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Failing:
    """When it failed lately; and until when it is left alone, if it came to that."""

    failed_at: list[float] = field(default_factory=list)
    cools_until: float | None = None


class Cooldowns:
    """What is asked for by a wildcard cools by itself: another model there may be well."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._failing: dict[Key, Failing] = {}

    @property
    def is_quiet(self) -> bool:
        """Nothing has failed lately; nearly always, and nothing else need be asked then."""
        return not self._failing

    def is_cooling(self, card: DeploymentCard) -> bool:
        failing = self._failing.get(_key(card))
        if failing is None or failing.cools_until is None:
            return False
        return self._now() < failing.cools_until

    def may_send(self, card: DeploymentCard) -> bool:
        """Once it has cooled, one call a while is let through, until one succeeds."""
        if self.is_cooling(card):
            return False
        failing = self._failing.get(_key(card))
        if failing is not None and failing.cools_until is not None:
            failing.cools_until = self._now() + _cooldown_seconds(card)
        return True

    def fail(self, card: DeploymentCard) -> None:
        """A call failed there, and it was the deployment's fault."""
        seconds, key, now = _cooldown_seconds(card), _key(card), self._now()
        if not seconds:
            return
        if key not in self._failing:
            self._forget_old(now)
        failing = self._failing.setdefault(key, Failing())
        if failing.cools_until is not None:  # what was still on its way tells nothing new
            return
        since = now - settings.COOLDOWN_WITHIN_SECONDS
        failing.failed_at = [at for at in failing.failed_at if at > since] + [now]
        if len(failing.failed_at) >= settings.COOLDOWN_FAILURES:
            failing.cools_until = now + seconds
            logger.warning("deployment_cools model=%s id=%s", card.model_name, card.id_text)

    def succeed(self, card: DeploymentCard) -> None:
        failing = self._failing.pop(_key(card), None)
        if failing is not None and failing.cools_until is not None:
            logger.warning("deployment_recovered model=%s id=%s", card.model_name, card.id_text)

    def _forget_old(self, now: float) -> None:
        for key, failing in list(self._failing.items()):
            last = failing.cools_until or failing.failed_at[-1]
            if now - last > settings.COOLDOWN_WITHIN_SECONDS:
                del self._failing[key]
        if len(self._failing) >= FAILING_MAX:
            del self._failing[next(iter(self._failing))]


def _key(card: DeploymentCard) -> Key:
    return card.id, card.upstream_model


def _cooldown_seconds(card: DeploymentCard) -> float:
    """The deployment's own; 0 if it is never left alone."""
    own: float | None = card.terms.get("cooldown_time")
    return settings.COOLDOWN_SECONDS if own is None else own
