"""Tags in the admin: name, models, limits and budgets, saved by the verbs of tags/actions.py."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from spend.admin.confirmation import ask_first
from spend.admin.terms_shown import TERM_FIELDS
from spend.templatetags.moments import full_moment
from tags.actions import COLUMNS, change_tag, create_tag, delete_tag
from tags.admin.draws import FurtherInline, PotInline
from tags.admin.owners import HasLimit, OwnerAdmin
from tags.changes import Changes
from tags.models import Tag, TagDraw
from tags.owner_form import RATE_FIELDS
from tags.tag_form import TagForm


class TagFurtherInline(FurtherInline):
    model = TagDraw


class TagPotInline(PotInline):
    model = TagDraw


@admin.register(Tag)
class TagAdmin(OwnerAdmin):
    form = TagForm
    inlines = [TagFurtherInline, TagPotInline]
    list_display = ["name", "spent", "shown_limit", "used", "status", "resets"]
    list_filter = ["blocked", HasLimit]
    search_fields = ["name", "description"]
    search_help_text = "A part of the name or the description."
    sortable_by = ["name"]
    actions = ["block", "unblock"]
    deletion_text = (
        "Its log rows, budgets and windows stay, for the history. Later calls with this name are"
        " counted as seen in traffic, without a budget."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Tag | None = None) -> Any:
        made = [] if obj is None else ["created", "created_by"]
        named = ["name", "description", "blocked"]
        if obj is not None:
            named = ["name", "status", "description", "blocked"]
        return [
            (None, {"fields": named}),
            *self.terms_fieldsets(request, obj),
            ("Rate limits", {"fields": RATE_FIELDS}),
            ("Models", {"fields": ["allowed_models", *made]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Tag | None = None) -> Any:
        if obj is None:
            return []
        sets = self.get_fieldsets(request, obj)
        names = [name for _, options in sets for name in options["fields"]]
        return [name for name in names if name not in (*COLUMNS, *TERM_FIELDS)]

    def create(self, request: HttpRequest, form: Any, changes: Changes, actor: str) -> Tag:
        return create_tag(form.cleaned_data["name"], changes, actor=actor)

    def change(self, row: Tag, changes: Changes, actor: str) -> Tag:
        return change_tag(row.name, changes, actor=actor)

    def delete(self, row: Tag, actor: str) -> None:
        delete_tag(row.name, actor=actor)

    @admin.display(description="created")
    def created(self, row: Tag) -> SafeString | str:
        return full_moment(row.created_at)

    @admin.action(description="Block selected tags", permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[Tag]) -> HttpResponse | None:
        text = "Calls with these tags are refused from now on. Nothing else changes."
        asked = ask_first(
            request, self, queryset, action="block", title="Block these tags", text=text
        )
        if asked is None:
            count = self.set_blocked(request, queryset, blocked=True)
            messages.success(request, f"Blocked: {count}. Unblock at any time.")
        return asked

    @admin.action(description="Unblock selected tags", permissions=["change"])
    def unblock(self, request: HttpRequest, queryset: QuerySet[Tag]) -> HttpResponse | None:
        text = "Calls with these tags are admitted again, as far as their budgets go."
        asked = ask_first(
            request, self, queryset, action="unblock", title="Unblock these tags", text=text
        )
        if asked is None:
            count = self.set_blocked(request, queryset, blocked=False)
            messages.success(request, f"Unblocked: {count}.")
        return asked
