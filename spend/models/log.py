"""The log: one immutable row per finished call, and the sums that move with it."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KT


class TagSet(models.Model):
    """An interned list of tag names: what a call was charged to, as values."""

    digest = models.BinaryField(unique=True, max_length=32)
    tags = ArrayField(models.TextField())

    class Meta:
        indexes = [GinIndex(fields=["tags"], name="tag_set_by_tag")]

    def __str__(self) -> str:
        return ", ".join(self.tags)


class CallStatus(models.TextChoices):
    SUCCESS = "success", "Success"
    FAILURE = "failure", "Failure"
    REFUSED = "refused", "Refused"
    ESTIMATED = "estimated", "Estimated"
    CORRECTION = "correction", "Correction"


class SpendLog(models.Model):
    """What a call cost. Append-only: a trigger refuses UPDATE and DELETE.

    The table is range-partitioned by `id`, which is ordered by time (spend/sql/log_table.sql);
    a correction is a new row whose id differs from its call's in the last byte only.
    """

    id = models.UUIDField(primary_key=True)
    corrects = models.UUIDField(null=True)
    at = models.DateTimeField("time", help_text="When the call was admitted or refused.")
    first_byte_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=CallStatus.choices)
    http_status = models.SmallIntegerField()
    endpoint = models.CharField(max_length=40)
    stream = models.BooleanField()
    client_disconnected = models.BooleanField()
    key_id = models.UUIDField()
    key_alias = models.TextField(null=True)  # noqa: DJ001
    key_digest = models.BinaryField(null=True)
    tag_set = models.ForeignKey(TagSet, on_delete=models.DO_NOTHING, db_constraint=False)
    model = models.TextField("model asked for")
    upstream_model = models.TextField(null=True)  # noqa: DJ001
    deployment_id = models.UUIDField(null=True)
    provider = models.TextField(null=True)  # noqa: DJ001
    price_id = models.UUIDField(null=True)
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    usage = models.JSONField()
    usage_source = models.CharField(max_length=8)
    cost = models.BigIntegerField(help_text="Nano-dollars.")
    windows = ArrayField(models.BigIntegerField())
    holds = ArrayField(models.BigIntegerField())
    upstream_request_id = models.TextField(null=True)  # noqa: DJ001
    client_request_id = models.TextField(null=True)  # noqa: DJ001
    end_user = models.TextField(null=True)  # noqa: DJ001
    session_id = models.TextField(null=True)  # noqa: DJ001
    user_agent = models.TextField(null=True)  # noqa: DJ001
    address = models.TextField(null=True)  # noqa: DJ001
    attempts = models.JSONField(null=True)
    flags = ArrayField(models.TextField(), default=list)
    error = models.JSONField(null=True)
    metadata = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tag_set", "id"], name="log_by_tag_set"),
            models.Index(fields=["key_id", "id"], name="log_by_key"),
            models.Index(fields=["upstream_request_id"], name="log_by_upstream_request"),
            models.Index(
                fields=["tag_set", "id"],
                condition=Q(status="refused"),
                name="log_refused_by_tag_set",
            ),
            models.Index(
                fields=["status", "id"],
                condition=~Q(status="success"),
                name="log_unlike_success",
            ),
            models.Index(
                fields=["client_request_id"],
                condition=Q(client_request_id__isnull=False),
                name="log_by_client_request",
            ),
            models.Index(fields=["id"], condition=~Q(flags=[]), name="log_flagged"),
            models.Index(
                KT("error__budget"),
                "id",
                condition=Q(status="refused"),
                name="log_refused_by_budget",
            ),
            models.Index(
                KT("error__type"), "id", condition=Q(status="failure"), name="log_failed_by_type"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="log_cost_not_negative", condition=Q(cost__gte=0) | Q(corrects__isnull=False)
            ),
            models.CheckConstraint(
                name="log_unbilled_costs_nothing",
                condition=~Q(status__in=["failure", "refused"]) | Q(cost=0),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Rollup(models.Model):
    """Sums by hour, day or month over tag set x key x model, moved in the settling transaction.

    Each call is in one row of each span however many tags it has, so any total counts it once.
    """

    class Span(models.TextChoices):
        HOUR = "hour", "Hour"
        DAY = "day", "Day"
        MONTH = "month", "Month"

    pk = models.CompositePrimaryKey("span", "starts_at", "tag_set_id", "key_id", "model")
    span = models.CharField(max_length=5, choices=Span.choices)
    starts_at = models.DateTimeField()
    tag_set = models.ForeignKey(
        TagSet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False
    )
    key_id = models.UUIDField()
    model = models.TextField()
    key_alias = models.TextField(null=True)  # noqa: DJ001
    cost = models.BigIntegerField()
    requests = models.BigIntegerField(help_text="All calls but refused ones.")
    failed = models.BigIntegerField()
    refused = models.BigIntegerField()
    estimated = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField(db_default=0)

    class Meta:
        indexes = [
            models.Index(fields=["tag_set", "span", "starts_at"], name="rollup_by_tag_set"),
        ]

    def __str__(self) -> str:
        return f"{self.span} {self.starts_at:%Y-%m-%d %H:%M} {self.model}"
