"""BudgetForm: a budget's terms as the pages ask for them: what it does, how much, per what."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from spend.form_fields import BAD_AMOUNT
from spend.models import Budget, BudgetMode
from spend.terms_form import TermsForm

STOP, STRICT = BudgetMode.STANDARD.value, BudgetMode.STRICT.value
WARN, NONE = "warn", "none"
KINDS = [
    (STOP, "Stop at the limit"),
    (STRICT, "Never exceed (strict)"),
    (WARN, "Only warn"),
    (NONE, "No budget"),
]
KIND_HELP = {
    STOP: "a small overrun is possible",
    STRICT: "refuses what might not fit",
    WARN: "nothing is refused",
    NONE: "spend is counted",
}
OTHER = "other"
PERIODS = [
    ("", "never resets"),
    ("hourly", "hour"),
    ("daily", "day"),
    ("weekly", "week, from Monday"),
    ("monthly", "month, from the 1st"),
    ("quarterly", "quarter"),
    ("yearly", "year"),
]
LENGTHS = [
    ("1h", "1 hour"),
    ("1d", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
]
SAID = "Enter the amount at which you want to be told."


class BudgetForm(TermsForm):
    """`kind` stands for mode and limit: only warn is a soft limit alone, no budget is neither."""

    mode: Any = None
    kind = forms.ChoiceField(
        choices=KINDS, initial=STOP, widget=forms.RadioSelect, label="What it does"
    )
    duration: Any = forms.ChoiceField(required=False, label="Period")
    other_length = forms.CharField(required=False, max_length=20, label="Other length")

    def fill_in(self, budget: Budget | None) -> None:
        super().fill_in(budget)
        stored = None if budget is None else budget.duration
        period: Any = self.fields["duration"]
        period.choices = period_choices(stored)
        for term, text in (("limit", "Limit"), ("soft_limit", "Soft limit"), ("start", "Start")):
            self.fields[term].label, self.fields[term].help_text = text, ""
        for term in ("time_zone", "duration", "alert_thresholds"):
            self.fields[term].help_text = ""
        if budget is None:
            self.initial = {"duration": "monthly", **self.initial}
        else:
            self.initial = {**self.initial, "kind": kind_of(budget), "duration": stored or ""}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("duration") == OTHER:
            cleaned["duration"] = cleaned.get("other_length", "").strip()
            if not cleaned["duration"]:
                self.add_error("other_length", "Enter a length, such as 36h, 14d or 2w.")
        kind = cleaned.get("kind")
        cleaned["mode"] = STRICT if kind == STRICT else STOP
        if kind in (WARN, NONE):
            self._leave_out("limit")
        if kind == NONE:
            self._leave_out("soft_limit")
        elif kind == WARN and "soft_limit" not in self.errors and cleaned["soft_limit"] is None:
            self.add_error("soft_limit", SAID)
        return super().clean()

    def add_error(self, field: str | None, error: Any) -> None:
        """A length that was typed is told where it was typed."""
        if field == "duration" and self.data.get(self.add_prefix("duration")) == OTHER:
            field = "other_length"
        super().add_error(field, error)

    def _leave_out(self, amount: str) -> None:
        """Whatever stands in a field that this kind has no use for."""
        self.errors.pop(amount, None)
        self.cleaned_data[amount] = None


def kind_of(budget: Budget) -> str:
    if budget.limit is not None:
        return str(budget.mode)
    return NONE if budget.soft_limit is None else WARN


def period_choices(stored: str | None) -> list[Any]:
    """Those that people ask for, and the one that the budget has."""
    choices = [("Of the calendar", PERIODS[1:]), ("Of a length, counted from the start", LENGTHS)]
    known = {value for _, group in choices for value, _ in group}
    if stored and stored not in known:
        choices.append(("As it is", [(stored, stored)]))
    return [PERIODS[0], *choices, (OTHER, "another length...")]


def parse_limit(text: str) -> int:
    """The one amount of a small form. Raises ValidationError."""
    found = TermsForm.base_fields["limit"].clean(text)
    if found is None:
        raise ValidationError(BAD_AMOUNT)
    return int(found)
