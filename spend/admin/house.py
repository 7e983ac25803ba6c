"""HouseAdmin and ReadOnlyAdmin: what every page of the admin here has in common."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from spend.status import Status


class HouseAdmin(admin.ModelAdmin):
    """No full counts, no facets, nothing that scans a table for a number nobody asked for."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER


class ReadOnlyAdmin(HouseAdmin):
    """For rows that the ledger, the jobs and the verbs write, and nobody else."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def actor_of(request: HttpRequest) -> str:
    """Whom the audit names."""
    return request.user.get_username()


def pretty(value: Any) -> SafeString | str:
    """A JSON value, laid out for reading; a dash when there is none."""
    if value is None:
        return "-"
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="json">{}</pre>', text)


def shown_status(status: Status) -> SafeString:
    """Icon and word: colour is never alone."""
    look = status.value
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>',
        look.tone,
        look.icon,
        look.word,
    )
