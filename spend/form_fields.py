"""Form fields: what people type into forms <-> the values that are kept."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from spend.money import BadAmount, dollars_text, parse_dollars_text

LINES_MAX = 1_000
DEPTH_MAX = 32
BAD_AMOUNT = (
    "Enter dollars, such as 500 or 0.25. Leave it empty for no limit; 0 refuses every call."
)

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class DollarsField(forms.CharField):
    """US dollars as text; nano-dollars inside, None when it is left empty."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "maxlength": 40})
        super().__init__(**{"required": False, "widget": widget, **kwargs})

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return parse_dollars_text(text)
        except BadAmount:  # nine decimals and eight million dollars are as far as it goes
            raise ValidationError(BAD_AMOUNT, code="invalid") from None

    def prepare_value(self, value: Any) -> Any:
        return dollars_text(value, decimals_min=2) if type(value) is int else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """500 and 500.00 are the same amount."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class LinesField(forms.CharField):
    """A list of texts, one a line; blank lines and repeats are dropped."""

    def __init__(self, *, length_max: int = 255, **kwargs: Any) -> None:
        self.length_max = length_max
        widget = forms.Textarea(attrs={"rows": 3, "class": "lines"})
        super().__init__(**{"required": False, "widget": widget, **kwargs})

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in (value or "").splitlines()]
        return list(dict.fromkeys(line for line in lines if line))

    def validate(self, value: Sequence[str]) -> None:
        super().validate(value)
        if len(value) > LINES_MAX:
            raise ValidationError(f"At most {LINES_MAX} lines.", code="max_lines")
        for line in value:
            if len(line) > self.length_max:
                raise ValidationError(f"At most {self.length_max} characters a line.")

    def run_validators(self, value: Sequence[str]) -> None:
        for line in value:
            super().run_validators(line)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != list(initial or ()))


class PercentsField(forms.CharField):
    """Percentages from 1 to 100, between commas; sorted, each once."""

    def to_python(self, value: Any) -> Any:
        words = [word.strip() for word in (value or "").split(",") if word.strip()]
        if any(not word.isascii() or not word.isdigit() or len(word) > 3 for word in words):
            raise ValidationError("Enter whole percentages, such as 80, 100.", code="invalid")
        percents = sorted({int(word) for word in words})
        if percents and not (percents[0] >= 1 and percents[-1] <= 100):
            raise ValidationError("A percentage is from 1 to 100.", code="invalid")
        return percents

    def run_validators(self, value: Any) -> None:
        """Those of a text do not apply to a list."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != list(initial or ()))
        except ValidationError:
            return True


class ObjectField(forms.JSONField):
    """A JSON object that the database can keep; None when it is left empty."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "json"})

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            found = orjson.loads(value)  # no NaN, no half characters, and no depth that crashes
        except orjson.JSONDecodeError:
            raise ValidationError("Enter valid JSON.", code="invalid") from None
        if not isinstance(found, dict):
            raise ValidationError("Enter a JSON object.", code="invalid")
        if _depth_exceeds(found, DEPTH_MAX) or _NUL.search(orjson.dumps(found)):
            text = f"At most {DEPTH_MAX} levels, and without the character U+0000."
            raise ValidationError(text, code="invalid")
        return found

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed comes back as it was typed."""
        return initial if data is None else InvalidJSONInput(data)


class WallClockField(forms.Field):
    """What a clock on a wall shows: a time without a zone, for whoever knows which is meant."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})
        super().__init__(**{"required": False, "widget": widget, **kwargs})

    def to_python(self, value: Any) -> datetime | None:
        if not value or isinstance(value, datetime):
            return value or None
        try:
            shown = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValidationError("Enter a date and time.", code="invalid") from None
        if shown.tzinfo is not None:
            raise ValidationError("Enter a date and time without a zone.", code="invalid")
        return shown.replace(microsecond=0)

    def prepare_value(self, value: Any) -> Any:
        return value.strftime("%Y-%m-%dT%H:%M:%S") if isinstance(value, datetime) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


def _depth_exceeds(value: Any, most: int) -> bool:
    """Level by level: a value that is too deep for this would be too deep for a recursion."""
    level = [value]
    for _ in range(most):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True
