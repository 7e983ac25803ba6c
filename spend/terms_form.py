"""TermsForm: a budget's terms as form fields, judged together with what the budget has already."""

from datetime import UTC
from typing import Any

from django import forms
from django.conf import settings

from spend.budgets import TERMS
from spend.form_fields import DollarsField, PercentsField, WallClockField
from spend.models import Budget, BudgetMode
from spend.models.accounts import default_thresholds
from spend.terms import BadTerm, complete_terms
from spend.windows import LENGTH_ALLOWED, BadTimeZone, open_zone

LIMIT_HELP = "US dollars. Empty: no limit, spend is counted; 0: every call is refused."
SOFT_HELP = "US dollars. Warns, refuses nothing."
DURATION_HELP = (
    f"Empty: never resets. {LENGTH_ALLOWED[0].upper()}{LENGTH_ALLOWED[1:]}, counted from now or"
    " the start; or a period of the calendar: hourly, daily, weekly, monthly, quarterly, yearly."
    " Another duration, zone or start closes the open window and opens one with nothing spent."
)


class TermsForm(forms.Form):
    """Mixed into the form of whatever owns the budget: a tag, a key, or a pot itself.

    Once it is valid, `terms` are those that create_budget and change_budget take.
    """

    limit = DollarsField(help_text=LIMIT_HELP)
    soft_limit = DollarsField(help_text=SOFT_HELP)
    duration = forms.CharField(required=False, max_length=20, help_text=DURATION_HELP)
    time_zone = forms.CharField(
        required=False, max_length=64, help_text="An IANA name, such as Europe/Berlin."
    )
    start = WallClockField(help_text="On the clock of that zone; moves the phase of the windows.")
    mode = forms.ChoiceField(
        choices=BudgetMode.choices,
        initial=BudgetMode.STANDARD.value,
        help_text="Stop at the limit: a small overrun is possible. Never exceed: refuses what"
        " might not fit.",
    )
    alert_thresholds = PercentsField(
        required=False, initial=default_thresholds, help_text="Percent of the limit."
    )

    terms: dict[str, Any]

    def fill_in(self, budget: Budget | None) -> None:
        """Show what the budget has; called by __init__ of the form that mixes this in."""
        self.budget = budget
        shown = {"time_zone": settings.BUDGET_TIME_ZONE} if budget is None else shown_terms(budget)
        self.initial = {**shown, **self.initial}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors.keys() & set(TERMS):
            self._judge(cleaned)
        return cleaned

    def _judge(self, cleaned: dict[str, Any]) -> None:
        asked = {term: cleaned.get(term) for term in TERMS}
        asked["duration"] = asked["duration"] or None
        asked["time_zone"] = asked["time_zone"] or settings.BUDGET_TIME_ZONE
        try:
            asked["start"] = self._instant(asked)
            self.terms = complete_terms(asked, self.budget, time_zone=settings.BUDGET_TIME_ZONE)
        except BadTimeZone as error:
            self.add_error("time_zone", _sentence(error))
        except BadTerm as error:
            self.add_error(error.term, _sentence(error))

    def _instant(self, asked: dict[str, Any]) -> Any:
        """The start that is meant. Left as it was, it is the same instant, second showings too."""
        shown, stored = asked["start"], self.budget
        if shown is None:
            return None
        if stored and (stored.time_zone, shown_terms(stored)["start"]) == (
            asked["time_zone"],
            shown,
        ):
            return stored.start
        try:
            return shown.replace(tzinfo=open_zone(asked["time_zone"])).astimezone(UTC)
        except OverflowError:  # the year 1 or 9999, in a zone that would leave the calendar
            raise BadTerm("start", "must be a time from 1970 to 2199") from None


def shown_terms(budget: Budget) -> dict[str, Any]:
    """A budget's terms as the form shows them."""
    terms = {term: getattr(budget, term) for term in TERMS}
    if budget.start is not None:
        local = budget.start.astimezone(open_zone(budget.time_zone))
        terms["start"] = local.replace(tzinfo=None, microsecond=0)
    return terms


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
