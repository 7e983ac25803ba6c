"""Alerts: what somebody is to be told, once; and each attempt to tell it by each channel."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from spend.ids import new_row_id
from spend.models.accounts import BudgetWindow


class AlertKind(models.TextChoices):
    THRESHOLD = "budget.threshold", "Threshold"
    SOFT = "budget.soft", "Soft limit"
    EXCEEDED = "budget.exceeded", "Over budget"
    FORECAST = "budget.forecast", "Forecast over"
    OVERRUN = "call.overrun", "A call broke its bound"
    AUTH_ERROR = "upstream.auth_error", "An upstream refused our secret"
    TEST = "test", "Test"


class Alert(models.Model):
    """Of a window, or of something else that `subject` names; each once, whoever looks.

    `facts` are what was told, as they were then.
    """

    id = models.UUIDField(primary_key=True, default=new_row_id, editable=False)
    kind = models.CharField(max_length=24, choices=AlertKind.choices)
    window = models.ForeignKey(BudgetWindow, null=True, on_delete=models.PROTECT)
    threshold = models.PositiveSmallIntegerField(default=0)
    subject = models.CharField(max_length=128, default="")
    facts = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["window", "kind", "threshold"],
                condition=Q(window__isnull=False),
                name="alert_once_per_window",
            ),
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(window__isnull=True),
                name="alert_once_per_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M}"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    GIVEN_UP = "given_up", "Given up"


class AlertDelivery(models.Model):
    """One alert by one channel, tried until it is there or a day has passed."""

    id = models.UUIDField(primary_key=True, default=new_row_id, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=200, help_text="Secrets in it are masked.")
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        verbose_name_plural = "alert deliveries"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel"], name="delivered_once_by_channel")
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="delivery_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.get_state_display()}"
