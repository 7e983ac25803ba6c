"""KeptDeletion: deleting through a verb; what Django would collect and delete stays as it is."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse


class KeptDeletion(ModelAdmin):
    """`deletion_text` says on the page that asks what happens, and what stays."""

    deletion_text = ""
    delete_confirmation_template = "admin/delete_kept.html"
    delete_selected_confirmation_template = "admin/delete_selected_kept.html"

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        """Nothing is collected, so only the permission on the rows themselves counts."""
        rows = list(objs)
        names = [str(row) for row in rows]
        may = all(self.has_delete_permission(request, row) for row in rows)
        lacking = set() if may else {self.opts.verbose_name}
        return names, {self.opts.verbose_name_plural: len(rows)}, lacking, []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "deletion_text": self.deletion_text}
        return super().delete_view(request, object_id, context)
