"""Users and groups in the admin: Django's own, and every change of them is in the audit."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from spend.admin.house import actor_of
from spend.audit import record_change

admin.site.unregister(User)
admin.site.unregister(Group)


class Audited:
    """Of an admin class: what it saves and deletes is recorded as `described` tells it."""

    thing: str

    def described(self, row: Any) -> dict[str, Any]:
        raise NotImplementedError

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = self.described(type(obj).objects.get(pk=obj.pk)) if change else None
        request.described_before = before  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups and permissions are saved here, so only now all of it is known."""
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        row = form.instance
        before, after = request.described_before, self.described(row)  # type: ignore[attr-defined]
        if before != after:
            action = "change" if change else "create"
            record_change(
                actor_of(request), action, self.thing, str(row), before=before, after=after
            )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        before, name = self.described(obj), str(obj)
        super().delete_model(request, obj)  # type: ignore[misc]
        record_change(actor_of(request), "delete", self.thing, name, before=before)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(User)
class AuditedUserAdmin(Audited, UserAdmin):
    thing = "user"
    readonly_fields = ["last_login", "date_joined"]

    def described(self, row: Any) -> dict[str, Any]:
        """Never the password, nor its digest."""
        return {
            "email": row.email,
            "is_active": row.is_active,
            "is_staff": row.is_staff,
            "is_superuser": row.is_superuser,
            "groups": sorted(row.groups.values_list("name", flat=True)),
            "permissions": sorted(row.user_permissions.values_list("codename", flat=True)),
        }

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        before = User.objects.filter(pk=id).values_list("password", flat=True).first()
        answer = super().user_change_password(request, id, form_url)
        user = User.objects.filter(pk=id).first()
        if user is not None and before != user.password:
            record_change(actor_of(request), "set_password", "user", str(user))
        return answer


@admin.register(Group)
class AuditedGroupAdmin(Audited, GroupAdmin):
    thing = "group"

    def described(self, row: Any) -> dict[str, Any]:
        return {
            "name": row.name,
            "permissions": sorted(row.permissions.values_list("codename", flat=True)),
        }
