"""Log form: which calls somebody looks for, as typed <-> a search of the log within a range."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from spend.form_fields import DollarsField
from spend.log_filters import LogSearch
from spend.log_question import BadSearch, LogQuestion, parse_question
from spend.models import CallStatus
from spend.money import BadAmount, parse_dollars_text
from spend.ranges import Range
from spend.windows import midnight, open_zone
from tags.names import BadTag, clean_tag

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS_MAX = 92
AHEAD = timedelta(minutes=1)  # clocks differ a little
USUAL_RANGE = "24h"
RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", HOUR),
    USUAL_RANGE: ("Last 24 hours", DAY),
    "7d": ("Last 7 days", 7 * DAY),
    "30d": ("Last 30 days", 30 * DAY),
    "90d": ("Last 90 days", 90 * DAY),
}
YES_NO = (("", "any"), ("yes", "streamed"), ("no", "whole"))
BAD_COST = "Enter dollars, such as 0.10 or 2."
BAD_COST_TERM = "A cost is searched for as cost:>0.10 or cost:<2, in dollars."
COST_TERM = re.compile(r"(?:^|(?<=\s))cost:([<>]=?)\$?(\S*)")
BEYOND = {">": 1, ">=": 0, "<": -1, "<=": 0}  # nano-dollars; the fields include their bounds
TOO_WIDE = (
    "That many days of single calls is too much to search at once. Take 92 days at most, or open"
    " the report."
)


class CostField(DollarsField):
    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except ValidationError:
            raise ValidationError(BAD_COST, code="invalid") from None


class NamesField(forms.Field):
    """Names of tags, each once."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: Any) -> list[str]:
        try:
            names = [clean_tag(text) for text in value or () if text.strip()]
        except BadTag as error:
            raise ValidationError(str(error), code="invalid") from None
        return list(dict.fromkeys(names))


class DayField(forms.DateField):
    """A day that every zone knows."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(
            **{"required": False, "widget": widget, "input_formats": ["%Y-%m-%d"], **kwargs}
        )

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        if found is not None and not 1970 < found.year < 2199:
            raise ValidationError("Enter a day from 1971 to 2198.", code="invalid")
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A search without its keys by name, and the range in which roll-ups would sum it up.

    `is_open` when it goes on until now.
    """

    search: LogSearch
    covered: Range
    key: str | None
    is_open: bool

    @property
    def is_whole_hours(self) -> bool:
        at = self.covered.starts_at
        return self.covered.is_whole_days or not (at.minute or at.second or at.microsecond)


def _known(names: str) -> forms.TextInput:
    """With those names of the page to choose from."""
    return forms.TextInput(attrs={"list": names})


class LogForm(forms.Form):
    q = forms.CharField(required=False, max_length=1_000, label="Search")
    tag = NamesField(required=False)
    key = forms.CharField(required=False, max_length=255, widget=_known("known-keys"))
    model = forms.CharField(required=False, max_length=255, widget=_known("known-models"))
    status = forms.ChoiceField(required=False, choices=(("", "any"), *CallStatus.choices))
    range = forms.ChoiceField(
        required=False, choices=[(key, label) for key, (label, _) in RANGES.items()]
    )
    untagged = forms.BooleanField(required=False, label="Without tags")
    cost_min = CostField(label="Cost from, USD")
    cost_max = CostField(label="Cost to, USD")
    stream = forms.ChoiceField(required=False, choices=YES_NO, label="Streamed")
    flag = forms.CharField(required=False, max_length=40)
    end_user = forms.CharField(required=False, max_length=255, label="End user")
    session = forms.CharField(required=False, max_length=255)
    id = forms.CharField(required=False, max_length=255, label="Id: ours, client's, upstream's")
    first = DayField(label="From day")
    last = DayField(label="To day")
    day = DayField(widget=forms.HiddenInput)

    def clean_q(self) -> LogQuestion:
        """`cost:>0.10` and `cost:<2` are taken out first: they say what two fields say."""
        text = self.cleaned_data["q"]
        self.typed_costs = {}
        try:
            for sign, amount in COST_TERM.findall(text):
                nanos = parse_dollars_text(amount) + BEYOND[sign]
                self.typed_costs["cost_min" if sign[0] == ">" else "cost_max"] = nanos
            return parse_question(COST_TERM.sub("", text))
        except BadAmount:
            raise ValidationError(BAD_COST_TERM, code="invalid") from None
        except BadSearch as error:
            raise ValidationError(str(error), code="invalid") from None

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        low, high = given.get("cost_min"), given.get("cost_max")
        if low is not None and high is not None and high < low:
            self.add_error("cost_max", "This is less than the cost to begin with.")
        first, last = given.get("first"), given.get("last")
        if first and last and last < first:
            self.add_error("last", "This is before the first day.")
        elif first and last and (last - first).days >= DAYS_MAX:
            self.add_error("last", TOO_WIDE)
        if given.get("untagged") and given.get("tag"):
            self.add_error("untagged", "A call without tags does not carry the one asked for.")
        self._agree("key", "model", "id")
        return given

    def asked(self, now: datetime, zone: str, visible: frozenset[str] | None) -> Asked:
        """Of a form that is right. `visible` are the tags of which a call must carry one."""
        given, typed = self.cleaned_data, self.cleaned_data["q"]
        covered, is_open = self._covered(now, zone)
        search = LogSearch(
            starts_at=covered.starts_at,
            ends_at=min(covered.ends_at, now + AHEAD),
            tags=tuple(dict.fromkeys([*given["tag"], *typed.tags])),
            untagged=given["untagged"],
            any_of=_any_of(given["tag"], typed, visible),
            model_asked=given["model"] or typed.model,
            status=given["status"] or None,
            cost_min=given["cost_min"] or self.typed_costs.get("cost_min"),
            cost_max=given["cost_max"] or self.typed_costs.get("cost_max"),
            stream={"yes": True, "no": False}.get(given["stream"]),
            flag=given["flag"] or None,
            end_user=given["end_user"] or None,
            session_id=given["session"] or None,
            any_id=given["id"] or typed.id,
        )
        return Asked(search, covered, given["key"] or typed.key, is_open)

    @property
    def more_is_open(self) -> bool:
        """Whether something is said among the filters that are folded away."""
        names = [name for name in self.fields if name not in ("q", "tag", "key", "model", "range")]
        return any(self.data.get(name) for name in names if name not in ("status", "day"))

    def _agree(self, *names: str) -> None:
        """A call has one key, one model, one id: both places may say it, but not two things."""
        typed = self.cleaned_data.get("q")
        for name in names:
            said = typed and getattr(typed, name)
            if said and self.cleaned_data.get(name) and self.cleaned_data[name] != said:
                self.add_error("q", f"A call has one {name} only; it stands in its field already.")

    def _covered(self, now: datetime, zone: str) -> tuple[Range, bool]:
        """Days if any are given; an id is looked for wherever it is; hours and days are whole."""
        given = self.cleaned_data
        today = now.astimezone(open_zone(zone)).date()
        if given["day"]:
            return _days(given["day"], given["day"], zone, today), given["day"] >= today
        if given["first"] or given["last"]:
            first = given["first"] or given["last"] - (DAYS_MAX - 1) * DAY
            last = given["last"] or min(today, first + (DAYS_MAX - 1) * DAY)
            return _days(first, max(first, last), zone, today), last >= today
        key = given["range"] or USUAL_RANGE
        if given["id"] or given["q"].id:
            key = "90d"
        length = RANGES[key][1]
        if length > DAY:
            return _days(today - length + DAY, today, zone, today), True
        if length < DAY:
            return Range(now - length, now + AHEAD, False), True
        hour = now.replace(minute=0, second=0, microsecond=0)
        return Range(hour - length, hour + HOUR, False), True


def _any_of(
    tags: list[str], typed: LogQuestion, visible: frozenset[str] | None
) -> tuple[str, ...] | None:
    """Whether a call carries a tag that he may not see is nothing that an owner learns."""
    if visible is None:
        return None
    return tuple(sorted(visible)) if visible.issuperset((*tags, *typed.tags)) else ()


def _days(first: date, last: date, zone: str, today: date) -> Range:
    """Both included."""
    starts_at, ends_at = midnight(first, zone), midnight(last + DAY, zone)
    return Range(starts_at, ends_at, is_whole_days=True, is_to_now=last >= today)
