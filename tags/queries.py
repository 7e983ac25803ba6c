"""Queries: what the reading paths about tags may be asked."""

import base64
import json
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from spend.ranges import BadRange, Range, range_of
from spend.rollover import database_now
from tags.fields import Moment, StrictSerializer, TagName
from tags.listing import Place
from tags.names import clean_tag

DAYS = 30
LIST_MAX = 1_000
FILTERS_MAX = 100
SAYS_NOTHING = ("", "false", "null")


class StrictQuery(StrictSerializer):
    """A query string, in which a name stands once, unless it is one of `repeated`."""

    repeated: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, QueryDict):
            data = {
                name: values if name in self.repeated else values[-1]
                for name, values in data.lists()
                if name not in self.litellm or values[-1].lower() not in SAYS_NOTHING
            }
        return super().to_internal_value(data)


class RangeQuery(StrictQuery):
    """Both dates or neither: then the last 30 days."""

    start_date = Moment(required=False)
    end_date = Moment(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        covered = covered_range(attrs.pop("start_date", None), attrs.pop("end_date", None))
        return attrs | {"covered": covered}


class TagListQuery(RangeQuery):
    q = serializers.CharField(required=False, allow_blank=True, max_length=128, default="")
    include_seen = serializers.BooleanField(default=True)
    limit = serializers.IntegerField(default=LIST_MAX, min_value=1, max_value=LIST_MAX)
    cursor = serializers.CharField(required=False, max_length=1_000)

    def validate_cursor(self, value: str) -> Place:
        return read_cursor(value)


class TagSummaryQuery(RangeQuery):
    repeated = frozenset({"tag_filter"})
    tag_filter = serializers.ListField(child=TagName(), max_length=FILTERS_MAX, required=False)


def covered_range(start: date | datetime | None, end: date | datetime | None) -> Range:
    """Raises ValidationError naming `start_date` or `end_date`."""
    zone = settings.REPORT_TIME_ZONE
    try:
        return range_of(start, end, days=DAYS, now=database_now(), time_zone=zone)
    except BadRange as error:
        raise ValidationError({f"{error.bound}_date": str(error)}) from None


def write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.is_seen, place.name]).encode()).decode()


def read_cursor(text: str) -> Place:
    """Raises ValidationError for what was never written by us."""
    try:
        match json.loads(base64.urlsafe_b64decode(text)):
            case [bool(is_seen), str(name)] if clean_tag(name) == name:
                return Place(is_seen, name)
    except ValueError:
        pass
    raise ValidationError("is not a cursor of this list")
