"""Draws in the admin: the further budgets of a tag or a key, and the pots that it draws on.

    FurtherInline, PotInline   subclassed with the model of the owner's draws
    wanted_draws(formsets)     -> the further budgets' terms and the pots' names, for the verbs

The pots that are drawn on are rows that exist; a further budget is made, and closed, with its draw.
"""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest

from spend.admin.terms_shown import SHOWN_TERMS, TERM_FIELDS, TermsShown
from spend.models import Budget, FurtherDraw
from spend.terms_form import TermsForm
from spend.windows import parse_duration
from tags.draws import FURTHER_MAX, POTS_MAX


class FurtherForm(TermsForm, forms.ModelForm):
    """The terms of one further budget."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fill_in(None if self.instance._state.adding else self.instance.budget)


class PotForm(forms.ModelForm):
    class Meta:
        labels = {"budget": "pot"}

    def clean_budget(self) -> Budget:
        budget = self.cleaned_data["budget"]
        if not budget.is_pot:
            raise ValidationError("Only a pot can be drawn on by several.")
        return budget


class DrawFormSet(BaseInlineFormSet):
    """Says what is wanted and saves nothing: that is for the verbs, with everything else."""

    def wanted(self) -> list[Any]:
        """The forms that are filled in and not to be deleted, in their order."""
        blank = [form for form in self.extra_forms if not form.has_changed()]
        return [form for form in self.forms if form not in (*blank, *self.deleted_forms)]

    def save(self, commit: bool = True) -> list[Any]:
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []
        return []


class FurtherFormSet(DrawFormSet):
    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        asked = [form.terms["duration"] for form in self.wanted()]
        if len(asked) != len({duration and parse_duration(duration) for duration in asked}):
            raise ValidationError("Each further budget needs a duration of its own.")


class DrawInline(admin.StackedInline):
    """Who may change the owner may change what it draws on."""

    extra = 0
    is_pot: bool
    ordering = ["position", "pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[FurtherDraw]:
        rows = super().get_queryset(request)
        return rows.filter(budget__is_pot=self.is_pot).select_related("budget")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view") or self._may(request, "change")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "add" if obj is None else "change")

    has_change_permission = has_delete_permission = has_add_permission

    def _may(self, request: HttpRequest, action: str) -> bool:
        owner = self.parent_model._meta
        name = get_permission_codename(action, owner)
        return request.user.has_perm(f"{owner.app_label}.{name}")


class FurtherInline(TermsShown, DrawInline):
    is_pot = False
    form = FurtherForm
    formset = FurtherFormSet
    max_num = FURTHER_MAX
    verbose_name = "further budget"
    verbose_name_plural = "further budgets, such as a daily one beside a monthly one"

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, **{**kwargs, "fields": []})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return TERM_FIELDS if self.has_add_permission(request, obj) else SHOWN_TERMS

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [] if self.has_add_permission(request, obj) else SHOWN_TERMS


class PotInline(DrawInline):
    is_pot = True
    form = PotForm
    formset = DrawFormSet
    max_num = POTS_MAX
    fields = ["budget"]
    autocomplete_fields = ["budget"]
    verbose_name = "pot"
    verbose_name_plural = "pots that it draws on together with others"


def wanted_draws(
    formsets: Iterable[Any],
) -> tuple[list[dict[str, Any]] | None, list[str] | None]:
    """None for a list that was not on the page, which then stays as it is."""
    further: list[dict[str, Any]] | None = None
    pots: list[str] | None = None
    for formset in formsets:
        formset.save()
        if isinstance(formset, FurtherFormSet):
            further = [form.terms for form in formset.wanted()]
        elif isinstance(formset, DrawFormSet):
            pots = [form.cleaned_data["budget"].public_id for form in formset.wanted()]
    return further, pots
