"""OwnerAdmin: what the admin pages of tags and keys have in common; verbs do the writing."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from spend.admin.house import HouseAdmin, actor_of, shown_status
from spend.admin.standing_list import StandingList
from spend.admin.terms_shown import TermsShown
from spend.models import Budget
from spend.status import Account, Status, status_of
from tags.admin.deletion import KeptDeletion
from tags.admin.draws import wanted_draws
from tags.admin.turned_down import TurnedDownShown
from tags.changes import Changes
from tags.draws import split_draws


class HasLimit(admin.SimpleListFilter):
    title = "limit"
    parameter_name = "limit"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("yes", "Has a limit"), ("no", "No limit")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(budget__limit__isnull=self.value() == "no")


class OwnerAdmin(TurnedDownShown, KeptDeletion, TermsShown, HouseAdmin):
    """The form says what is wanted; create and change take all of it at once, draws included."""

    def create(self, request: HttpRequest, form: Any, changes: Changes, actor: str) -> Any:
        raise NotImplementedError

    def change(self, row: Any, changes: Changes, actor: str) -> Any:
        raise NotImplementedError

    def delete(self, row: Any, actor: str) -> None:
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[StandingList]:
        return StandingList

    def counted_budgets(self, row: Any) -> list[Budget]:
        """Own, further, pots; in no query when the row was read `with_budgets()`."""
        further, pots = split_draws(row.draws.all())
        return [row.budget, *further, *pots]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_budgets()

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Without the terms, which are the budget's."""
        sets = self.get_fieldsets(request, obj)
        names = [name for _, options in sets for name in options["fields"]]
        kept = [name for name in names if name in self.form.columns or name == "name"]
        return super().get_form(request, obj, change=change, **{**kwargs, "fields": kept})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Not yet: the draws belong to the same change."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        changes = form.changes(*wanted_draws(formsets))
        actor = actor_of(request)
        if change:
            saved = self.change(form.instance, changes, actor)
        else:
            saved = self.create(request, form, changes, actor)
        form.instance.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete(obj, actor_of(request))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete(row, actor_of(request))

    @transaction.atomic
    def set_blocked(self, request: HttpRequest, rows: QuerySet[Any], *, blocked: bool) -> int:
        """All or none. How many there are."""
        count = 0
        for row in rows:
            self.change(row, Changes({"blocked": blocked}), actor_of(request))
            self.log_change(request, row, "Blocked." if blocked else "Unblocked.")
            count += 1
        return count

    @admin.display(description="status")
    def status(self, row: Any) -> SafeString:
        return shown_status(self.status_of(row))

    def status_of(self, row: Any) -> Status:
        """Over its own budget, its further ones, and the pots that it draws on."""
        standings = self.standings(row)
        accounts = [
            Account(standings[budget.pk], budget.soft_limit) for budget in self.counted_budgets(row)
        ]
        return status_of(accounts, blocked=row.blocked)
