"""OwnerForm: what forms of tags and keys have in common beside their own budget."""

from typing import Any

from django import forms

from spend.form_fields import LinesField
from spend.terms_form import TermsForm
from tags.changes import Changes
from tags.fields import RATE_LIMIT_MAX

RATE_FIELDS = ["tpm_limit", "rpm_limit", "max_parallel_requests"]
MODELS_HELP = "Models, globs or deployment ids, one a line. Empty: all."


class OwnerForm(TermsForm, forms.ModelForm):
    """`columns` are the row's own fields that the form may change."""

    columns: tuple[str, ...] = ()

    allowed_models = LinesField(help_text=MODELS_HELP)
    tpm_limit = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, label="Tokens per minute"
    )
    rpm_limit = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, label="Requests per minute"
    )
    max_parallel_requests = forms.IntegerField(
        required=False, min_value=1, max_value=RATE_LIMIT_MAX, label="Requests at a time"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fill_in(None if self.instance._state.adding else self.instance.budget)

    def changes(self, further: Any, pots: Any) -> Changes:
        """What was asked, once the form is valid."""
        columns = {name: self.cleaned_data[name] for name in self.columns}
        return Changes(columns, self.terms, further, pots)
