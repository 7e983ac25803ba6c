"""TagForm: a tag as forms have it; TagPageForm: with budgets, pots and keys, as the pages ask."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.forms import BaseFormSet, formset_factory

from spend.budget_form import NONE, BudgetForm
from spend.form_fields import LinesField
from spend.models import Budget
from spend.windows import parse_duration
from tags.actions import COLUMNS
from tags.changes import Changes
from tags.draws import FURTHER_MAX, POTS_MAX
from tags.models import Tag
from tags.names import BadTag, clean_tag
from tags.owner_form import OwnerForm

POTS_OFFERED_MAX = 500
PAGE_COLUMNS = tuple(column for column in COLUMNS if column != "blocked")
EACH_ITS_OWN = "Another budget of this tag has this period. Each needs a period of its own."


class TagForm(OwnerForm):
    columns = COLUMNS

    class Meta:
        model = Tag
        fields = ["name", *COLUMNS]
        widgets = {"description": forms.Textarea(attrs={"rows": 2, "class": "lines"})}
        help_texts = {"name": "1 to 128 characters, no comma. It cannot be changed later."}

    def clean_name(self) -> str:
        try:
            name = clean_tag(self.cleaned_data["name"])
        except BadTag as error:
            raise ValidationError(f"A tag {error}.") from None
        if not name:
            raise ValidationError("A tag has 1 to 128 characters.")
        return name


class TagPageForm(BudgetForm, TagForm):
    """Of a tag that exists the name is fixed; `version` says which state of it was read."""

    columns = PAGE_COLUMNS

    pots = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Pots it draws on"
    )
    keys = LinesField(label="Keys that always carry it", length_max=128)
    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta(TagForm.Meta):
        fields = ["name", *PAGE_COLUMNS, "owners"]
        widgets = {**TagForm.Meta.widgets, "owners": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pots"].choices = pot_choices()
        people = get_user_model()._default_manager.filter(is_active=True, is_staff=True)
        self.fields["owners"].queryset = people.order_by("username")
        self.fields["owners"].required = False
        if not self.instance._state.adding:
            del self.fields["name"]

    def clean_pots(self) -> list[str]:
        found = self.cleaned_data["pots"]
        if len(found) > POTS_MAX:
            raise ValidationError(f"At most {POTS_MAX} pots.")
        return found

    def changes(self, further: Sequence[Any] | None = None, pots: Any = None) -> Changes:
        found = super().changes(further, self.cleaned_data["pots"])
        return replace(found, owners=list(self.cleaned_data["owners"]))


class DescriptionForm(forms.ModelForm):
    """What an owner may say."""

    class Meta:
        model = Tag
        fields = ["description"]
        widgets = TagForm.Meta.widgets


class FurtherForm(BudgetForm):
    """The terms of one further budget; a blank one that nobody filled in is none."""

    def __init__(self, *args: Any, budget: Budget | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fill_in(budget)
        kinds = [choice for choice in self.fields["kind"].choices if choice[0] != NONE]
        self.fields["kind"].choices = kinds
        if budget is None:
            self.initial["duration"] = "daily"


class FurtherForms(BaseFormSet):
    """`budgets` are those that the tag has, in their order."""

    def __init__(self, *args: Any, budgets: Sequence[Budget] = (), **kwargs: Any) -> None:
        self.budgets = list(budgets)
        kwargs.setdefault("initial", [{} for _ in self.budgets])
        super().__init__(*args, **kwargs)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        known = index is not None and index < len(self.budgets)
        return {"budget": self.budgets[index] if known else None}

    def clean(self) -> None:
        if any(self.errors):
            return
        seen: set[Any] = set()
        for form in self.wanted_forms():
            duration = form.terms["duration"]
            parsed = duration and parse_duration(duration)
            if parsed in seen:
                form.add_error("duration", EACH_ITS_OWN)
            seen.add(parsed)

    def wanted_forms(self) -> list[FurtherForm]:
        """Neither removed nor left as blank as they were given."""
        blank = [form for form in self.extra_forms if not form.has_changed()]
        return [form for form in self.forms if form not in (*blank, *self.deleted_forms)]

    def wanted(self) -> list[dict[str, Any]]:
        """All terms of each budget, in their order, once the forms are valid."""
        return [form.terms for form in self.wanted_forms()]


FurtherFormSet = formset_factory(
    FurtherForm,
    formset=FurtherForms,
    extra=0,
    can_delete=True,
    max_num=FURTHER_MAX,
    absolute_max=FURTHER_MAX,
    validate_max=True,
)


def pot_choices() -> list[tuple[str, str]]:
    pots = Budget.objects.filter(is_pot=True).order_by("public_id")[:POTS_OFFERED_MAX]
    return [(pot.public_id, pot.public_id) for pot in pots]
