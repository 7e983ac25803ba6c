"""Confirmation: the page between choosing a bulk action and doing it."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

ROWS_SHOWN_MAX = 100


def ask_first(
    request: HttpRequest,
    admin: ModelAdmin,
    rows: QuerySet[Any],
    *,
    action: str,
    title: str,
    text: str,
) -> TemplateResponse | None:
    """The page that lists what would change; None once the person has said yes."""
    if request.POST.get("confirmed") == "yes":
        return None
    shown = list(rows[: ROWS_SHOWN_MAX + 1])
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "text": text,
        "opts": admin.opts,
        "media": admin.media,
        "rows": shown[:ROWS_SHOWN_MAX],
        "has_more": len(shown) > ROWS_SHOWN_MAX,
        "action": action,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)
