"""Price: an effective-dated row of pico-dollar rates. Never changed, only succeeded."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from spend.ids import new_row_id


class PriceSource(models.TextChoices):
    CATALOGUE = "catalogue", "Price list"
    OPERATOR = "operator", "Operator"
    DEPLOYMENT = "deployment", "Deployment"


class Price(models.Model):
    """What one model costs from `starts_at` on. `rates` is spend.pricing's format."""

    id = models.UUIDField(primary_key=True, default=new_row_id, editable=False)
    source = models.CharField(max_length=10, choices=PriceSource.choices)
    provider = models.CharField(max_length=64, blank=True, default="")
    model = models.CharField(max_length=255, help_text="The upstream's name for the model.")
    deployment_id = models.UUIDField(null=True, blank=True)
    starts_at = models.DateTimeField(db_default=Now())
    rates = models.JSONField(help_text="Pico-dollars per unit, by kind.")
    note = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering = ["provider", "model", "-starts_at"]
        indexes = [
            models.Index(fields=["model", "-starts_at"], name="price_by_model"),
            models.Index(
                fields=["deployment_id", "-starts_at"],
                condition=Q(deployment_id__isnull=False),
                name="price_by_deployment",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "provider", "model", "deployment_id", "starts_at"],
                name="price_starts_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="deployment_price_names_its_deployment",
                condition=Q(source=PriceSource.DEPLOYMENT, deployment_id__isnull=False)
                | (~Q(source=PriceSource.DEPLOYMENT) & Q(deployment_id__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} from {self.starts_at:%Y-%m-%d}"
