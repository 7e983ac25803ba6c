"""Report form: which two dimensions, which measure, of which calls; nonsense is not said."""

from datetime import date, datetime
from typing import Any

from django import forms

from spend.comparison import range_before
from spend.pivot_sql import DIMENSIONS
from spend.range_choices import CHOICES, MONTH_TO_DATE, choose_range
from spend.ranges import DAY, Range
from spend.reports import Scope
from spend.windows import midnight, open_zone
from tags.log_form import DayField
from tags.names import BadTag, clean_tag

DAYS_MAX = 3_660
DIMENSION_NAMES = {
    "tag": "Tag",
    "prefix": "Tag prefix",
    "key": "Key",
    "model": "Model",
    "day": "Day",
    "week": "Week",
    "month": "Month",
}
MEASURES = {
    "cost": "Cost",
    "average": "Average cost of a call",
    "requests": "Calls",
    "failed": "Failed calls",
    "refused": "Refused calls",
    "prompt_tokens": "Tokens in",
    "cached_tokens": "Tokens in, cached",
    "completion_tokens": "Tokens out",
}
USUAL = {"rows": "tag", "columns": "model", "measure": "cost", "range": MONTH_TO_DATE}
NO_COLUMNS = "none"
assert tuple(DIMENSION_NAMES) == DIMENSIONS


class ReportForm(forms.Form):
    rows = forms.ChoiceField(choices=list(DIMENSION_NAMES.items()), label="Rows")
    columns = forms.ChoiceField(
        choices=[*DIMENSION_NAMES.items(), (NO_COLUMNS, "None")], label="Columns"
    )
    measure = forms.ChoiceField(choices=list(MEASURES.items()), label="Measure")
    range = forms.ChoiceField(choices=list(CHOICES.items()), label="Range")
    first = DayField(label="From day")
    last = DayField(label="To day")
    tag = forms.CharField(required=False, max_length=255, label="Only the tag")
    key = forms.CharField(required=False, max_length=255, label="Only the key")
    model = forms.CharField(required=False, max_length=255, label="Only the model")

    def __init__(self, given: Any) -> None:
        """What is not said, or is not offered, is the usual."""
        said = given.copy()
        for name, usual in USUAL.items():
            known = {str(key) for key, _ in self.base_fields[name].choices}
            if said.get(name) not in known:
                said[name] = usual
        if said["columns"] == said["rows"] and said["rows"] not in ("tag", "prefix"):
            said["columns"] = NO_COLUMNS
        super().__init__(said)

    def clean_tag(self) -> str:
        text = self.cleaned_data["tag"]
        try:
            return clean_tag(text) if text else ""
        except BadTag as error:
            raise forms.ValidationError(str(error), code="invalid") from None

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        first, last = given.get("first"), given.get("last")
        if first and last and last < first:
            self.add_error("last", "This is before the first day.")
        elif first and last and (last - first).days >= DAYS_MAX:
            self.add_error("last", "Take ten years at most.")
        return given

    @property
    def column(self) -> str | None:
        chosen: str = self.cleaned_data["columns"]
        return None if chosen == NO_COLUMNS else chosen

    @property
    def is_narrowed(self) -> bool:
        """Whether something is said among the filters that are folded away."""
        return any(self.data.get(name) for name in ("first", "last", "tag", "key", "model"))

    def ranges(self, now: datetime, zone: str) -> tuple[Range, Range, str]:
        """What is covered, what it is compared with, and what that is in words."""
        given = self.cleaned_data
        today = now.astimezone(open_zone(zone)).date()
        if not (given["first"] or given["last"]):
            chosen = choose_range(given["range"], now, time_zone=zone)
            return chosen.covered, chosen.before, chosen.before_text
        last = given["last"] or max(today, given["first"])
        covered = _days(given["first"] or last.replace(day=1), last, zone, today)
        return covered, range_before(covered, time_zone=zone), "against as many days before"

    def scope(self, covered: Range) -> Scope:
        given = self.cleaned_data
        return Scope(
            covered=covered,
            tags=(given["tag"],) if given["tag"] else (),
            key_alias=given["key"] or None,
            model=given["model"] or None,
        )


def _days(first: date, last: date, zone: str, today: date) -> Range:
    """Both included."""
    starts_at, ends_at = midnight(first, zone), midnight(last + DAY, zone)
    return Range(starts_at, ends_at, is_whole_days=True, is_to_now=last >= today)
