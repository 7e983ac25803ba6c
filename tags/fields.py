"""Fields: serializer fields that take a JSON value for what it is; a "5" is never a 5."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from spend.money import BadAmount, parse_dollars
from tags.known_fields import refuse_unknown
from tags.names import BadTag, clean_tag

YEARS = range(1900, 9000)  # far from both ends of the calendars of all who reckon with them
OTHER_YEARS = f"must be in the years {YEARS.start} to {YEARS.stop - 1}"
TIME_MEANT = "must be a time such as 2025-10-11T00:00:00Z, or a date such as 2025-10-11"
RATE_LIMIT_MAX = 2**31 - 1

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d))?", re.ASCII
)


class Text(serializers.CharField):
    """A string: numbers are not turned into one."""

    default_error_messages = {"invalid": "must be a string"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false; not "true", not 1."""

    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class Whole(serializers.IntegerField):
    """A whole number; not "5", not 5.0, not true."""

    default_error_messages = {"invalid": "must be a whole number"}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Dollars(serializers.FloatField):
    """US dollars as an exact JSON number; nano-dollars inside."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return parse_dollars(data)
        except BadAmount as error:
            raise ValidationError(str(error)) from None


class Moment(serializers.DateTimeField):
    """A time with its zone, or a date; which midnight that is, is for whoever knows the zone."""

    def to_internal_value(self, data: Any) -> datetime | date:
        try:
            return parse_moment(data)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Day(serializers.DateField):
    """A date, within the years of all other times."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], **options)

    def to_internal_value(self, value: Any) -> date:
        found: date = super().to_internal_value(value)
        if found.year not in YEARS:
            raise ValidationError(OTHER_YEARS)
        return found


class TagName(Text):
    """A tag by its rules, in its one form."""

    def run_validation(self, data: Any = serializers.empty) -> str:
        if data is serializers.empty or data is None:
            return super().run_validation(data)
        try:
            name = clean_tag(data)
        except BadTag as error:
            raise ValidationError(ErrorDetail(str(error), code="invalid_tag")) from None
        if not name:
            text = "must have 1 to 128 characters"
            raise ValidationError(ErrorDetail(text, code="invalid_tag"))
        return name


class StrictSerializer(serializers.Serializer):
    """Members that it does not know are refused; `answered` names those that only answers have."""

    answered: frozenset[str] = frozenset()
    litellm: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            ours = {name for name, field in self.fields.items() if not field.read_only}
            refuse_unknown(data, ours | self.answered, self.litellm)
        return super().to_internal_value(data)


def parse_moment(text: object) -> datetime | date:
    """Raises ValueError whose text follows a field's name."""
    if not isinstance(text, str) or not _TIME.fullmatch(text.strip()):
        raise ValueError(TIME_MEANT)
    text = text.strip().upper()
    try:
        found = date.fromisoformat(text) if len(text) == len("2025-10-11") else _instant(text)
    except (ValueError, OverflowError):
        raise ValueError(TIME_MEANT) from None
    if found.year not in YEARS:
        raise ValueError(OTHER_YEARS)
    return found


def _instant(text: str) -> datetime:
    """In UTC: some offsets that Python knows are none to PostgreSQL."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
