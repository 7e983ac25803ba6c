"""Closings: what the months of the log that were dropped had summed to."""

from django.db import models
from django.db.models.functions import Now


class Closing(models.Model):
    """A partition that left the log, detached first and then dropped."""

    partition = models.CharField(max_length=63)
    low_id = models.UUIDField(help_text="The lowest id that it could hold.")
    high_id = models.UUIDField(help_text="The lowest id after it.")
    rows = models.BigIntegerField()
    cost = models.BigIntegerField(help_text="Nano-dollars.")
    closed_at = models.DateTimeField(db_default=Now())
    dropped_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.partition


class ClosedWindow(models.Model):
    """What a window was charged by the rows of a closing."""

    closing = models.ForeignKey(Closing, on_delete=models.PROTECT)
    window_id = models.BigIntegerField()
    cost = models.BigIntegerField()
    top = models.BigIntegerField(help_text="The largest hold.")
    late = models.BigIntegerField(help_text="What rows cost beyond their holds.")

    def __str__(self) -> str:
        return f"window {self.window_id} of {self.closing_id}"


class ClosedSpan(models.Model):
    """What the rows of a closing put into the roll-ups of one hour, day or month, in all."""

    closing = models.ForeignKey(Closing, on_delete=models.PROTECT)
    span = models.CharField(max_length=5)
    starts_at = models.DateTimeField()
    cost = models.BigIntegerField()
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    refused = models.BigIntegerField()
    estimated = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["starts_at"], name="closed_span_by_start")]

    def __str__(self) -> str:
        return f"{self.span} {self.starts_at:%Y-%m-%d %H:%M} of {self.closing_id}"
