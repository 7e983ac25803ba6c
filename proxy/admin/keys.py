"""Virtual keys in the admin: the secret is shown once, in the answer to Add; a digest never."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from proxy.actions import change_key, create_key, delete_keys
from proxy.admin.key_form import TAG_FIELDS, KeyForm
from proxy.models import APIKey, KeyDraw
from proxy.spent_forms import ALREADY, is_spent, spend_form
from spend.admin.confirmation import ask_first
from spend.admin.house import pretty, shown_status
from spend.admin.terms_shown import TERM_FIELDS
from spend.templatetags.moments import full_moment, moment
from tags.admin.draws import FurtherInline, PotInline
from tags.admin.owners import HasLimit, OwnerAdmin
from tags.changes import Changes
from tags.owner_form import RATE_FIELDS

SHOWN_TAG_FIELDS = ["shown_default_tags", "shown_allowed_tags", "shown_required_tags"]


class KeyState(admin.SimpleListFilter):
    """Deleted keys keep their rows, and are out of sight unless they are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [
            ("active", "Active"),
            ("blocked", "Blocked"),
            ("expired", "Expired"),
            ("deleted", "Deleted"),
        ]

    def choices(self, changelist: Any) -> Any:
        for n, choice in enumerate(super().choices(changelist)):
            yield choice if n else {**choice, "display": "Not deleted"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        expired = Q(expires_at__isnull=False, expires_at__lte=timezone.now())
        present = Q(deleted_at__isnull=True)
        wanted = {
            "active": present & Q(blocked=False) & ~expired,
            "blocked": present & Q(blocked=True),
            "expired": present & expired,
            "deleted": ~present,
        }
        return queryset.filter(wanted.get(self.value() or "", present))


class KeyFurtherInline(FurtherInline):
    model = KeyDraw


class KeyPotInline(PotInline):
    model = KeyDraw


@admin.register(APIKey)
class APIKeyAdmin(OwnerAdmin):
    form = KeyForm
    inlines = [KeyFurtherInline, KeyPotInline]
    list_display = ["name", "masked", "state", "spent", "shown_limit", "used", "expires"]
    list_filter = [KeyState, HasLimit]
    search_fields = ["alias", "=ending"]
    search_help_text = "A part of the alias, or the last four characters of the key."
    sortable_by = ["name"]
    actions = ["block", "unblock"]
    deletion_text = (
        "It stops within a second. Its row, log rows and budgets stay, so that reports can name"
        " it; the alias is free again."
    )

    # -- the page of a key -----------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        may_edit = obj is None or self.has_change_permission(request, obj)
        named = ["alias", "blocked", "expires"]
        tags = TAG_FIELDS if may_edit else SHOWN_TAG_FIELDS
        more = ["more_metadata" if may_edit else "shown_metadata"]
        if obj is None:
            named = ["form_token", *named]
        else:
            named = ["alias", "masked", "state", "blocked", "expires" if may_edit else "expiry"]
            more = [*more, "id", "created", "created_by", "deleted"]
        return [
            (None, {"fields": named}),
            ("Tags", {"fields": tags}),
            *self.terms_fieldsets(request, obj),
            ("Rate limits", {"fields": RATE_FIELDS}),
            ("Models", {"fields": ["allowed_models"]}),
            ("More", {"fields": more}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        if obj is None:
            return []
        sets = self.get_fieldsets(request, obj)
        names = [name for _, options in sets for name in options["fields"]]
        editable = (*KeyForm.columns, *KeyForm.base_fields, *TERM_FIELDS)
        return [name for name in names if name not in editable]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_deleted(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_deleted(obj)

    # -- verbs -----------------------------------------------------------------------------------

    def create(self, request: HttpRequest, form: Any, changes: Changes, actor: str) -> APIKey:
        key, secret = create_key(changes, actor=actor)
        request.new_secret = secret  # type: ignore[attr-defined]
        return key

    def change(self, row: APIKey, changes: Changes, actor: str) -> APIKey:
        action = "change"
        if set(changes.columns) == {"blocked"}:
            action = "block" if changes.columns["blocked"] else "unblock"
        return change_key(row.id, changes, actor=actor, action=action)

    def delete(self, row: APIKey, actor: str) -> None:
        delete_keys([row.id], actor=actor)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A form that has made its key makes no other one when the page is loaded again."""
        if is_spent(request):
            messages.error(request, ALREADY)
            return HttpResponseRedirect(reverse("admin:proxy_apikey_changelist"))
        return super().changeform_view(request, *args, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The one page with the secret. No address leads to it."""
        spend_form(request)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Key created: {obj}",
            "opts": self.opts,
            "key": obj,
            "secret": request.new_secret,  # type: ignore[attr-defined]
        }
        response = TemplateResponse(request, "admin/proxy/apikey/created.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Block selected keys", permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> HttpResponse | None:
        text = "Calls with these keys are refused within a second. Nothing else changes."
        asked = ask_first(
            request, self, queryset, action="block", title="Block these keys", text=text
        )
        if asked is None:
            count = self.set_blocked(request, queryset, blocked=True)
            messages.success(request, f"Blocked: {count}. Unblock at any time.")
        return asked

    @admin.action(description="Unblock selected keys", permissions=["change"])
    def unblock(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> HttpResponse | None:
        text = "Calls with these keys are admitted again, as far as their budgets go."
        asked = ask_first(
            request, self, queryset, action="unblock", title="Unblock these keys", text=text
        )
        if asked is None:
            count = self.set_blocked(request, queryset, blocked=False)
            messages.success(request, f"Unblocked: {count}.")
        return asked

    # -- columns ---------------------------------------------------------------------------------

    @admin.display(description="alias", ordering="alias")
    def name(self, key: APIKey) -> str:
        return str(key)

    @admin.display(description="key")
    def masked(self, key: APIKey) -> str:
        return key.masked

    @admin.display(description="status")
    def state(self, key: APIKey) -> SafeString:
        """Deleted and expired come first: then the budgets do not matter."""
        if word := _ended(key):
            return format_html('<span class="status quiet">{}</span>', word)
        return shown_status(self.status_of(key))

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, key: APIKey) -> SafeString | str:
        return moment(key.expires_at) or "never"

    @admin.display(description="expires")
    def expiry(self, key: APIKey) -> SafeString | str:
        return full_moment(key.expires_at) or "never"

    @admin.display(description="created")
    def created(self, key: APIKey) -> SafeString | str:
        return full_moment(key.created_at)

    @admin.display(description="deleted")
    def deleted(self, key: APIKey) -> SafeString | str:
        return full_moment(key.deleted_at) or "no"

    @admin.display(description="default tags")
    def shown_default_tags(self, key: APIKey) -> str:
        return ", ".join(key.metadata.get("tags", [])) or "none"

    @admin.display(description="tags that a client may add")
    def shown_allowed_tags(self, key: APIKey) -> str:
        if key.allowed_tags is None:
            return "any"
        return ", ".join(key.allowed_tags) or "none"

    @admin.display(description="required tags")
    def shown_required_tags(self, key: APIKey) -> str:
        return ", ".join(key.required_tags) or "none"

    @admin.display(description="metadata")
    def shown_metadata(self, key: APIKey) -> SafeString | str:
        return pretty({name: value for name, value in key.metadata.items() if name != "tags"})


def _is_deleted(key: APIKey | None) -> bool:
    return key is not None and key.deleted_at is not None


def _ended(key: APIKey) -> str | None:
    if key.deleted_at is not None:
        return "Deleted"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "Expired"
    return None
