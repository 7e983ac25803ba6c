"""Tag: a name that calls carry and a budget can hold."""

from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from spend.models import Budget, FurtherDraw


class TagQuerySet(models.QuerySet["Tag"]):
    def with_budgets(self) -> Self:
        """Each with its own budget and its draws, in two queries however many there are."""
        draws = models.Prefetch("draws", TagDraw.objects.select_related("budget"))
        return self.select_related("budget").prefetch_related(draws)

    def owned_by(self, user: Any) -> Self:
        return self.filter(owners=user)


class Tag(models.Model):
    """A registered tag. Its own budget always exists; without a limit it only tracks."""

    name = models.CharField(max_length=128, unique=True)
    description = models.CharField(max_length=1000, blank=True, default="")
    allowed_models = ArrayField(
        models.CharField(max_length=255),
        default=list,
        blank=True,
        help_text="Models, globs or deployment ids that its calls may use; empty: all.",
    )
    budget = models.OneToOneField(Budget, on_delete=models.PROTECT, related_name="tag")
    tpm_limit = models.PositiveBigIntegerField("tokens per minute", null=True, blank=True)
    rpm_limit = models.PositiveBigIntegerField("requests per minute", null=True, blank=True)
    max_parallel_requests = models.PositiveIntegerField(null=True, blank=True)
    blocked = models.BooleanField(default=False, help_text="Refuse all calls with this tag.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.CharField(max_length=150, blank=True, default="")
    owners = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        related_name="owned_tags",
        blank=True,
        help_text="They see the tag and its calls, whatever else they may see.",
    )

    objects = TagQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("reset_tag_spend", "Can reset the spend of a tag")]
        constraints = [
            models.CheckConstraint(name="tag_has_a_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name


class TagDraw(FurtherDraw):
    """A further budget of a tag's own, or a pot that it draws on."""

    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="draws")

    class Meta(FurtherDraw.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["tag", "budget"], name="tag_draws_once_on_a_budget"),
        ]

    def __str__(self) -> str:
        return f"{self.tag_id} on {self.budget_id}"
