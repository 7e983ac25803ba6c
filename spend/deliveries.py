"""Deliveries: deliver_alerts sends what waits; what fails is tried again with back-off, for a day.

A delivery is claimed first, by putting off when it is due: a worker that dies while it sends leaves
one that is sent again, by anybody. So an alert may come twice, with the same id, and never not.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F

from spend.alerts import raise_one
from spend.channels import Channel, DeliveryFailed, channels, deliver
from spend.models import Alert, AlertDelivery, AlertKind, DeliveryState
from spend.rollover import database_now

AT_ONCE = 50
LEASE = timedelta(minutes=2)
PAUSE, PAUSE_MAX = timedelta(seconds=10), timedelta(hours=1)
LIFE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Told:
    """How a test went, by channel."""

    channel: str
    is_delivered: bool
    answer: str


def deliver_alerts() -> int:
    """How many are delivered now."""
    known = {channel.name: channel for channel in channels()}
    done = 0
    for _ in range(AT_ONCE):
        delivery = _claim()
        if delivery is None:
            break
        done += _try(delivery, known.get(delivery.channel))
    return done


def send_test(actor: str) -> list[Told]:
    """One to each channel, at once; what fails is not tried again."""
    now = database_now()
    subject = f"{actor} {now.isoformat()}"[:128]
    facts = {"at": now, "by": actor}
    raise_one(AlertKind.TEST, facts, subject=subject, due_in=LEASE)  # no job takes it meanwhile
    alert = Alert.objects.get(kind=AlertKind.TEST, subject=subject)
    known = {channel.name: channel for channel in channels()}
    for delivery in alert.deliveries.select_related("alert"):
        _try(delivery, known.get(delivery.channel), is_last=True)
    return [
        Told(row.channel, row.state == DeliveryState.DELIVERED, row.answer)
        for row in alert.deliveries.order_by("channel")
    ]


def send_again(delivery_id: UUID) -> None:
    """What was given up waits again. Raises AlertDelivery.DoesNotExist."""
    AlertDelivery.objects.get(pk=delivery_id)
    # What waits may be on its way at this moment, and would come twice.
    AlertDelivery.objects.filter(pk=delivery_id, state=DeliveryState.GIVEN_UP).update(
        state=DeliveryState.WAITING, next_at=database_now()
    )


@transaction.atomic
def _claim() -> AlertDelivery | None:
    now = database_now()
    waiting = AlertDelivery.objects.filter(state=DeliveryState.WAITING, next_at__lte=now)
    row = waiting.select_for_update(skip_locked=True).order_by("next_at").first()
    if row is None:
        return None
    AlertDelivery.objects.filter(pk=row.pk).update(next_at=now + LEASE)
    return AlertDelivery.objects.select_related("alert").get(pk=row.pk)


def _try(delivery: AlertDelivery, channel: Channel | None, *, is_last: bool = False) -> bool:
    try:
        if channel is None:
            raise DeliveryFailed("the settings name this channel no longer")
        answer, state = deliver(channel, delivery.alert), DeliveryState.DELIVERED
    except DeliveryFailed as failure:
        answer, state = str(failure), DeliveryState.WAITING
    now = database_now()
    is_late = now - delivery.alert.at > LIFE
    if state == DeliveryState.WAITING and (is_last or is_late or channel is None):
        state = DeliveryState.GIVEN_UP
    # Whoever was so late that another has delivered it meanwhile has nothing to say any more.
    AlertDelivery.objects.filter(pk=delivery.pk).exclude(state=DeliveryState.DELIVERED).update(
        state=state,
        attempts=F("attempts") + 1,
        answer=answer[:300],
        next_at=now + pause_after(delivery.attempts + 1),
        delivered_at=now if state == DeliveryState.DELIVERED else None,
    )
    return state == DeliveryState.DELIVERED


def pause_after(attempts: int) -> timedelta:
    """Twice as long each time, an hour at most, and not all at the same moment."""
    longest: timedelta = min(PAUSE * 2 ** min(attempts - 1, 12), PAUSE_MAX)
    return longest * (0.5 + random.random() / 2)
