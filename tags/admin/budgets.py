"""Budgets in the admin: pots are made and changed here, the others with their tag or key."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from spend.admin.house import HouseAdmin, actor_of
from spend.admin.links import linked_row
from spend.admin.standing_list import StandingList
from spend.admin.terms_shown import TERM_FIELDS, TermsShown
from spend.admin.windows import WindowInline
from spend.models import Budget
from spend.payers import payers_of, with_payers
from spend.terms_form import TermsForm
from tags.admin.deletion import KeptDeletion
from tags.admin.turned_down import TurnedDownShown
from tags.pots import change_pot, create_pot, delete_pot

PAYERS_SHOWN = 3


class PotForm(TermsForm, forms.ModelForm):
    class Meta:
        model = Budget
        fields = ["public_id"]
        labels = {"public_id": "name"}
        help_texts = {"public_id": "What tags and keys call the pot. It cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance._state.adding
        self.fill_in(None if is_new else self.instance)
        if is_new:
            self.initial["public_id"] = ""  # a pot is called by a name, not by an id

    def clean_public_id(self) -> str:
        name = self.cleaned_data["public_id"]
        if not name.isprintable():
            raise ValidationError("A name has no control characters.")
        return name


@admin.register(Budget)
class BudgetAdmin(TurnedDownShown, KeptDeletion, TermsShown, HouseAdmin):
    form = PotForm
    inlines = [WindowInline]
    list_display = [
        *("name", "drawn_on_by", "shown_limit", "shown_soft_limit", "shown_duration"),
        *("time_zone", "mode_word", "spent", "used", "resets"),
    ]
    list_filter = ["is_pot", "mode", "duration"]
    search_fields = ["public_id"]
    search_help_text = "A part of the budget's name."
    ordering = ["-is_pot", "-id"]
    sortable_by = []
    actions = None
    deletion_text = "Its windows stay, for the history, and its name is free again."

    def own_budget(self, row: Any) -> Budget:
        return row

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[StandingList]:
        return StandingList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return with_payers(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Budget], search_term: str
    ) -> tuple[QuerySet[Budget], bool]:
        """Whoever looks for a budget to draw on is offered pots: the others have an owner."""
        if "field_name" in request.GET:
            queryset = queryset.filter(is_pot=True)
        return super().get_search_results(request, queryset, search_term)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or obj.is_pot)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and obj is not None and obj.is_pot

    # -- the page of a budget --------------------------------------------------------------------

    def get_form(
        self, request: HttpRequest, obj: Budget | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The terms are not the row's to keep: they go through the verbs."""
        fields = [] if change else ["public_id"]
        return super().get_form(request, obj, change=change, **{**kwargs, "fields": fields})

    def get_fieldsets(self, request: HttpRequest, obj: Budget | None = None) -> Any:
        named = ["public_id"] if obj is None else ["public_id", "is_pot", "drawn_on_by_all"]
        return [(None, {"fields": named}), *self.terms_fieldsets(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> Any:
        if obj is None:
            return []
        sets = self.get_fieldsets(request, obj)
        names = [name for _, options in sets for name in options["fields"]]
        return [name for name in names if name not in TERM_FIELDS]

    def get_inlines(self, request: HttpRequest, obj: Budget | None) -> Any:
        return [] if obj is None else self.inlines

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        if change:
            pot = change_pot(obj.public_id, form.terms, actor=actor_of(request))
        else:
            pot = create_pot(obj.public_id, form.terms, actor=actor_of(request))
        obj.__dict__.update(pot.__dict__)

    def delete_model(self, request: HttpRequest, obj: Budget) -> None:
        delete_pot(obj.public_id, actor=actor_of(request))

    @admin.display(description="name")
    def name(self, budget: Budget) -> str:
        return budget.public_id

    @admin.display(description="mode")
    def mode_word(self, budget: Budget) -> str:
        return budget.mode

    @admin.display(description="drawn on by")
    def drawn_on_by(self, budget: Budget) -> SafeString | str:
        payers = payers_of(budget)
        rows = [(linked_row(payer),) for payer in payers[:PAYERS_SHOWN]]
        if len(payers) > PAYERS_SHOWN:
            rows.append((f"+{len(payers) - PAYERS_SHOWN} more",))
        return format_html_join(", ", "{}", rows) or "nobody"

    @admin.display(description="drawn on by")
    def drawn_on_by_all(self, budget: Budget) -> SafeString | str:
        rows = [(linked_row(payer),) for payer in payers_of(budget)]
        return format_html_join("", "<div>{}</div>", rows) or "nobody"
