"""The shop's rows: who calls us, and what is on offer."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from spend.ids import new_row_id
from spend.models import Budget, FurtherDraw


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    def present(self) -> Self:
        """Without the deleted ones."""
        return self.filter(deleted_at__isnull=True)

    def of_digest(self, digest: str, now: datetime) -> Self:
        """Of that secret, of the one that it replaced and that still works, or of a trial's."""
        replaced = Q(previous_digest=digest, previous_until__gt=now)
        trials = TrialSecret.objects.filter(digest=digest, until__gt=now)
        tried = Q(id=models.Subquery(trials.values("key")[:1]))
        return self.present().filter(Q(digest=digest) | replaced | tried)

    def with_budgets(self) -> Self:
        """Each with its own budget and its draws, in two queries however many there are."""
        draws = models.Prefetch("draws", KeyDraw.objects.select_related("budget"))
        return self.select_related("budget").prefetch_related(draws)


class APIKey(models.Model):
    """A virtual key: stored as the SHA-256 of its text, which is shown once.

    A deleted key keeps its row, so that reports can still name it; nobody can call with it.
    """

    id = models.UUIDField(primary_key=True, default=new_row_id, editable=False)
    alias = models.CharField(max_length=128, null=True, blank=True)  # noqa: DJ001 unique when set
    digest = models.CharField(max_length=64, unique=True, editable=False)
    ending = models.CharField(max_length=4, editable=False)
    previous_digest = models.CharField(max_length=64, null=True, editable=False)  # noqa: DJ001
    previous_until = models.DateTimeField(null=True, editable=False)
    allowed_models = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    allowed_tags = ArrayField(
        models.CharField(max_length=128),
        null=True,
        blank=True,
        help_text="Globs. Empty: any tag; an empty list lets the client add none.",
    )
    required_tags = ArrayField(models.CharField(max_length=128), default=list, blank=True)
    budget = models.OneToOneField(Budget, on_delete=models.PROTECT, related_name="key")
    tpm_limit = models.PositiveBigIntegerField("tokens per minute", null=True, blank=True)
    rpm_limit = models.PositiveBigIntegerField("requests per minute", null=True, blank=True)
    max_parallel_requests = models.PositiveIntegerField(null=True, blank=True)
    blocked = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.CharField(max_length=150, blank=True, default="")

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        permissions = [("try_apikey", "Can send a real call from the pages")]
        constraints = [
            models.UniqueConstraint(
                fields=["alias"], condition=Q(deleted_at__isnull=True), name="key_alias_once"
            ),
            models.UniqueConstraint(fields=["previous_digest"], name="key_previous_digest_once"),
        ]

    def __str__(self) -> str:
        return self.alias or self.masked

    @property
    def masked(self) -> str:
        return f"sk-...{self.ending}"


class TrialSecret(models.Model):
    """A second secret of a key, for one call from the pages: it works for a minute."""

    digest = models.CharField(max_length=64, primary_key=True)
    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="trials")
    until = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    def __str__(self) -> str:
        return f"of {self.key_id} until {self.until:%H:%M:%S}"


class KeyDraw(FurtherDraw):
    """A further budget of a key's own, or a pot that it draws on."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="draws")

    class Meta(FurtherDraw.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["key", "budget"], name="key_draws_once_on_a_budget"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} on {self.budget_id}"


class Upstream(models.Model):
    """A provider's address and our credential there, encrypted at rest (proxy/vault.py)."""

    id = models.UUIDField(primary_key=True, default=new_row_id, editable=False)
    name = models.CharField(max_length=128, unique=True)
    provider = models.CharField(max_length=32, help_text="The dialect: openai, azure, anthropic.")
    address = models.CharField(max_length=500, help_text="Base URL, such as https://host/v1.")
    secret = models.BinaryField(null=True, editable=False)
    secret_variable = models.CharField(
        max_length=128, blank=True, default="", help_text="Environment variable with the secret."
    )
    secret_ending = models.CharField(max_length=4, blank=True, default="", editable=False)
    api_version = models.CharField(max_length=32, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """A public model name served by one upstream's model."""

    id = models.UUIDField(primary_key=True, default=new_row_id)
    model_name = models.CharField(max_length=255, db_index=True, help_text="What clients ask for.")
    aliases = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="deployments")
    upstream_model = models.CharField(max_length=255)
    base_model = models.CharField(max_length=255, blank=True, default="")
    mode = models.CharField(max_length=32, blank=True, default="chat")
    tags = ArrayField(models.CharField(max_length=128), default=list, blank=True)
    order = models.PositiveSmallIntegerField(default=1)
    weight = models.PositiveSmallIntegerField(default=1)
    timeout_seconds = models.PositiveIntegerField(null=True, blank=True)
    stream_timeout_seconds = models.PositiveIntegerField(null=True, blank=True)
    max_retries = models.PositiveSmallIntegerField(null=True, blank=True)
    input_tokens_max = models.PositiveIntegerField(null=True, blank=True)
    output_tokens_max = models.PositiveIntegerField(null=True, blank=True)
    terms = models.JSONField(
        default=dict,
        blank=True,
        help_text="fallbacks, supports_stream_options, token_margin, supported_endpoints ...",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    created_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        verbose_name = "model"
        ordering = ["model_name", "order", "id"]

    def __str__(self) -> str:
        return self.model_name
