"""The audit and the jobs in the admin: what happened beside money, for reading."""

from django.contrib import admin
from django.utils.safestring import SafeString

from spend.admin.house import ReadOnlyAdmin, pretty
from spend.models import Audit, JobRun
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
