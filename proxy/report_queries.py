"""Report queries: what the paths that sum up the books may be asked."""

from calendar import monthrange
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from proxy.log_queries import OPTIONAL, TAGS_MAX, TEXT_MAX, KeyName, Line
from spend.focus_rows import VERSIONS
from spend.log_search import COUNTED_MAX
from spend.reports import GROUPS
from spend.rollover import database_now
from tags.fields import Day, Moment, TagName
from tags.queries import RangeQuery, StrictQuery, covered_range

PAGE_DAYS = 31
PAGE_DAYS_MAX = 1_000
HOUR_SECONDS = 3_600
NAMES_MAX = 200

LITELLM_ACTIVITY_QUERY = frozenset({"timezone", "exclude_tags", "exclude_entity_ids"})


class FocusQuery(StrictQuery):
    """A month, or both dates; neither is the month that is on."""

    month = serializers.RegexField(
        r"^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])$",
        **OPTIONAL,
        error_messages={"invalid": "must be a month such as 2026-10"},
    )
    start_date = Day(**OPTIONAL)
    end_date = Day(**OPTIONAL)
    version = serializers.ChoiceField(choices=VERSIONS, default="1.2", help_text="Of FOCUS.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs.get("start_date"), attrs.get("end_date")
        month: str | None = attrs.get("month")
        if month is not None and (start or end):
            raise ValidationError({"month": "cannot be given together with dates"})
        if start is None and end is None:
            month = (
                month or f"{database_now().astimezone(ZoneInfo(settings.REPORT_TIME_ZONE)):%Y-%m}"
            )
            start, end = _days_of(month)
        return attrs | {"covered": covered_range(start, end)}


class ReportRange(RangeQuery):
    """Roll-ups are by the hour: a time within one would leave out calls, or add some."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("start_date", "end_date"):
            at = attrs.get(name)
            if isinstance(at, datetime) and at.timestamp() % HOUR_SECONDS:
                raise ValidationError({name: "must be a date, or a time on the hour"})
        return super().validate(attrs)


class TotalsQuery(ReportRange):
    tags = Line(**OPTIONAL, help_text="Names with commas between them.")

    def validate_tags(self, value: str) -> list[str]:
        return listed_tags(value)


class ActivityQuery(ReportRange):
    litellm = LITELLM_ACTIVITY_QUERY
    start_date = Moment()
    end_date = Moment()
    tags = Line(**OPTIONAL, help_text="Names with commas between them: calls with any of them.")
    model = Line(**OPTIONAL, help_text="As it was asked for.")
    api_key = KeyName(
        characters_max=TEXT_MAX, **OPTIONAL, help_text="The key's secret, its hash, or its key_id."
    )
    page = serializers.IntegerField(min_value=1, max_value=COUNTED_MAX, default=1)
    page_size = serializers.IntegerField(
        min_value=1, max_value=PAGE_DAYS_MAX, default=PAGE_DAYS, help_text="Dates."
    )

    def validate_tags(self, value: str) -> list[str]:
        return listed_tags(value)


class ReportQuery(ReportRange):
    repeated = frozenset({"tag"})
    group_by = Line(help_text="One or two of tag, key, model, day, with a comma between them.")
    tag = serializers.ListField(child=TagName(), max_length=TAGS_MAX, **OPTIONAL)
    key_alias = Line(**OPTIONAL)
    model = Line(**OPTIONAL)
    format = serializers.ChoiceField(choices=["json", "csv"], default="json")

    def validate_group_by(self, value: str) -> list[str]:
        named = [name.strip() for name in value.split(",")]
        groups = ["key" if name == "api_key" else name for name in named]
        if not 1 <= len(groups) <= 2 or len(set(groups)) != len(groups):
            raise ValidationError("must name one or two different groups")
        if unknown := [name for name in groups if name not in GROUPS]:
            raise ValidationError(f"cannot be {unknown[0]}: only {', '.join(GROUPS)}")
        return groups


def listed_tags(text: str) -> list[str]:
    """Raises ValidationError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValidationError("must name a tag")
    if len(names) > NAMES_MAX:
        raise ValidationError(f"must have at most {NAMES_MAX} names")
    return list(dict.fromkeys(names))


def _days_of(month: str) -> tuple[date, date]:
    first = date.fromisoformat(f"{month}-01")
    return first, first.replace(day=monthrange(first.year, first.month)[1])
