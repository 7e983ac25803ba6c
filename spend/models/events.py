"""What happened beside money: changes by people, and runs of jobs."""

from django.db import models
from django.db.models.functions import Now


class Audit(models.Model):
    """Who changed what, before and after. Never holds a secret."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=255)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit"
        indexes = [models.Index(fields=["kind", "name", "-id"], name="audit_by_thing")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.kind} {self.name}"


class AuditSeal(models.Model):
    """A digest over an entry of the audit and all before it. Written by a trigger, at commit."""

    position = models.BigIntegerField(primary_key=True)
    audit_id = models.BigIntegerField(unique=True)
    digest = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.position}:{bytes(self.digest).hex()}"


class JobRun(models.Model):
    """The last run of each job: silence is the alarm."""

    job = models.CharField(max_length=40, primary_key=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    outcome = models.JSONField(null=True)

    def __str__(self) -> str:
        return self.job
