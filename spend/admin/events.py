"""The audit and the jobs in the admin: what happened beside money, for reading."""

from django.contrib import admin
from django.utils.safestring import SafeString

from spend.admin.house import ReadOnlyAdmin, pretty
from spend.alert_words import headline
from spend.models import Alert, AlertDelivery, Audit, JobRun
from spend.templatetags.moments import full_moment


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    list_display = ["time", "actor", "action", "kind", "name", "reason"]
    list_filter = ["kind", "action"]
    search_fields = ["name", "actor"]
    search_help_text = "A part of the name of what was changed, or of who changed it."
    sortable_by = []
    fields = ["time", "actor", "action", "kind", "name", "reason", "was", "became"]
    readonly_fields = ["time", "was", "became"]

    @admin.display(description="time", ordering="at")
    def time(self, audit: Audit) -> SafeString | str:
        return full_moment(audit.at)

    @admin.display(description="before")
    def was(self, audit: Audit) -> SafeString | str:
        return pretty(audit.before)

    @admin.display(description="after")
    def became(self, audit: Audit) -> SafeString | str:
        return pretty(audit.after)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ["time", "kind", "says"]
    list_filter = ["kind"]
    sortable_by = []
    fields = ["time", "kind", "says", "threshold", "told"]
    readonly_fields = ["time", "says", "told"]

    @admin.display(description="time", ordering="id")
    def time(self, alert: Alert) -> SafeString | str:
        return full_moment(alert.at)

    @admin.display(description="alert")
    def says(self, alert: Alert) -> str:
        return headline(alert)

    @admin.display(description="facts")
    def told(self, alert: Alert) -> SafeString | str:
        return pretty(alert.facts)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["alert", "channel", "state", "attempts", "answer", "delivered"]
    list_filter = ["state", "channel"]
    list_select_related = ["alert"]
    sortable_by = []
    fields = ["alert", "channel", "state", "attempts", "answer", "delivered"]
    readonly_fields = ["delivered"]

    @admin.display(description="delivered")
    def delivered(self, delivery: AlertDelivery) -> SafeString | str:
        return full_moment(delivery.delivered_at) or "not yet"


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    list_display = ["job", "started", "finished", "succeeded"]
    ordering = ["job"]
    sortable_by = []
    fields = ["job", "started", "finished", "succeeded", "result"]
    readonly_fields = ["started", "finished", "succeeded", "result"]

    @admin.display(description="started")
    def started(self, run: JobRun) -> SafeString | str:
        return full_moment(run.started_at)

    @admin.display(description="finished")
    def finished(self, run: JobRun) -> SafeString | str:
        return full_moment(run.finished_at) or "not yet"

    @admin.display(description="last success")
    def succeeded(self, run: JobRun) -> SafeString | str:
        return full_moment(run.last_success_at) or "never"

    @admin.display(description="outcome")
    def result(self, run: JobRun) -> SafeString | str:
        return pretty(run.outcome)
