"""KeyPageForm: a key with its budgets and pots as the pages ask for it; which tags would pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from proxy.admin.key_form import ANY, KeyForm
from proxy.globs import fits, fits_any
from spend.budget_form import BudgetForm
from spend.form_fields import LinesField
from tags.changes import Changes
from tags.draws import POTS_MAX
from tags.names import LENGTH_MAX
from tags.owner_form import RATE_FIELDS
from tags.tag_form import pot_choices


@dataclass(frozen=True, slots=True)
class Trial:
    """A tag that a client might send, and whether it passes this key's rules."""

    tag: str
    passes: bool


class KeyPageForm(BudgetForm, KeyForm):
    """`tried` are tags to try the rules with; they are kept nowhere."""

    columns = ("alias", "allowed_models", *RATE_FIELDS)

    pots = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Pots it draws on"
    )
    tried = LinesField(length_max=LENGTH_MAX, label="Try the rules with tags")
    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta(KeyForm.Meta):
        fields = ["alias"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pots"].choices = pot_choices()  # type: ignore[attr-defined]

    def clean_pots(self) -> list[str]:
        found: list[str] = self.cleaned_data["pots"]
        if len(found) > POTS_MAX:
            raise ValidationError(f"At most {POTS_MAX} pots.")
        return found

    def changes(self, further: Sequence[Any] | None = None, pots: Any = None) -> Changes:
        return super().changes(further, self.cleaned_data["pots"])

    def trials(self) -> list[Trial]:
        """Once the form was looked at."""
        given = getattr(self, "cleaned_data", {})
        if given.get("client_tags") == ANY:
            return [Trial(tag, True) for tag in given.get("tried", ())]
        patterns = given.get("allowed_tags", ())
        return [Trial(tag, fits_any(tag, patterns)) for tag in given.get("tried", ())]

    def unmet(self) -> Iterator[str]:
        """The required globs that neither its default tags nor those that are tried fit."""
        given = getattr(self, "cleaned_data", {})
        carried = [*given.get("default_tags", ()), *(one.tag for one in self.trials())]
        for pattern in given.get("required_tags", ()):
            if not any(fits(tag, pattern) for tag in carried):
                yield pattern
