"""Accounts: budgets, their windows, and what calls in flight hold on them."""

from typing import TYPE_CHECKING, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from spend.ids import new_row_id
from spend.windows import Schedule

if TYPE_CHECKING:
    from datetime import datetime


class BudgetMode(models.TextChoices):
    STANDARD = "standard", "Stop at the limit"
    STRICT = "strict", "Never exceed"


def default_thresholds() -> list[int]:
    return [80, 100]


def new_public_id() -> str:
    return str(new_row_id())


class Budget(models.Model):
    """An account's terms. Its money is on its windows, and only spend/sql/ moves it."""

    public_id = models.CharField(max_length=128, unique=True, default=new_public_id)
    is_pot = models.BooleanField(
        "shared pot", default=False, help_text="Several tags and keys may draw on it."
    )
    limit = models.BigIntegerField(
        "limit", null=True, blank=True, help_text="Nano-dollars; empty: no limit; 0: nothing."
    )
    soft_limit = models.BigIntegerField(null=True, blank=True, help_text="Nano-dollars; warns.")
    duration = models.CharField(max_length=20, null=True, blank=True)  # noqa: DJ001 null: never resets
    time_zone = models.CharField(max_length=64, default="UTC")
    anchor = models.DateTimeField(help_text="Creation, or the last change of schedule.")
    start = models.DateTimeField(
        null=True, blank=True, help_text="The start that was asked for; moves the phase."
    )
    mode = models.CharField(max_length=8, choices=BudgetMode.choices, default=BudgetMode.STANDARD)
    alert_thresholds = ArrayField(
        models.PositiveSmallIntegerField(), default=default_thresholds, blank=True
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="budget_limit_not_negative", condition=Q(limit__isnull=True) | Q(limit__gte=0)
            ),
            models.CheckConstraint(
                name="budget_soft_limit_not_negative",
                condition=Q(soft_limit__isnull=True) | Q(soft_limit__gte=0),
            ),
            models.CheckConstraint(
                name="budget_mode_known", condition=Q(mode__in=BudgetMode.values)
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.duration, self.anchor, self.time_zone, self.start)


class BudgetWindowQuerySet(models.QuerySet["BudgetWindow"]):
    def open(self) -> Self:
        return self.filter(is_open=True)

    def ended(self, now: "datetime") -> Self:
        return self.filter(is_open=True, ends_at__lte=now)


class BudgetWindow(models.Model):
    """One period of one budget: half-open, never zeroed, kept for ever."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="windows")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, help_text="Empty: it never ends.")
    is_open = models.BooleanField(db_default=True)
    mode = models.CharField(max_length=8, choices=BudgetMode.choices)
    limit = models.BigIntegerField(null=True)
    spent = models.BigIntegerField(db_default=0)
    reserved = models.BigIntegerField(db_default=0)
    excess = models.BigIntegerField(
        db_default=0, help_text="Lawfully above a strict limit: it was cut, or an upstream overran."
    )

    objects = BudgetWindowQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="window_starts_once"),
            models.UniqueConstraint(
                fields=["budget"], condition=Q(is_open=True), name="one_open_window_per_budget"
            ),
            models.CheckConstraint(
                name="window_money_not_negative",
                condition=Q(spent__gte=0, reserved__gte=0, excess__gte=0),
            ),
            models.CheckConstraint(
                name="window_ends_after_it_starts",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
            models.CheckConstraint(
                name="strict_ceiling",
                condition=~Q(mode=BudgetMode.STRICT)
                | Q(limit__isnull=True)
                | Q(spent__lte=F("limit") + F("excess") - F("reserved")),
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=Q(is_open=True), name="window_open_by_end"),
            models.Index(fields=["ends_at"], name="window_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.starts_at:%Y-%m-%d %H:%M}"

    def is_open_at(self, now: "datetime") -> bool:
        return self.is_open and (self.ends_at is None or self.ends_at > now)


class FurtherDraw(models.Model):
    """That somebody draws on a further budget or a pot. Concrete in the apps above."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="%(class)ss")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        abstract = True
        ordering = ["position", "id"]


class Reservation(models.Model):
    """A call's durable intent, committed before anything is sent upstream."""

    id = models.UUIDField(primary_key=True)
    worker = models.BigIntegerField(help_text="The advisory lock its web worker holds.")
    windows = ArrayField(models.BigIntegerField())
    holds = ArrayField(models.BigIntegerField())
    estimate = models.BigIntegerField(help_text="What an unknown ending is charged at least.")
    admitted_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    intent = models.JSONField(help_text="All that the final row will need.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="reservation_holds_match_windows",
                condition=Q(windows__len=F("holds__len")),
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="reservation_by_expiry"),
            models.Index(fields=["worker"], name="reservation_by_worker"),
        ]

    def __str__(self) -> str:
        return str(self.id)
