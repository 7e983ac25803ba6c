"""PriceForm: a model's own price as people quote it: dollars per million tokens, or per unit."""

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from spend.form_fields import WallClockField
from spend.money import BadAmount, parse_dollars_text, price_dollars
from spend.price_fields import FIELD_OF, rates_from_wire
from spend.rates import TOKEN_KINDS

MILLION = 1_000_000
LABELS = {
    "input": "Input",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "cache_write_1h": "Cache write, 1 hour",
    "audio_input": "Sound in",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_output": "Sound out",
    "image_output": "Image tokens out",
    "requests": "A call",
    "images": "An image made",
    "input_images": "An image in",
    "characters": "A character",
    "input_seconds": "A second of sound in",
    "output_seconds": "A second of sound out",
    "searches": "A search",
}
MAIN = ("input", "cached_input", "cache_write", "output", "reasoning", "requests")
BAD_PRICE = "Enter dollars, such as 2.50 or 0.0375."


class PerUnit(forms.CharField):
    """Dollars of `units` as typed; Decimal dollars of one inside, None when it is left empty."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        self.units = units
        options = {"required": False, "max_length": 40, "strip": True, **kwargs}
        super().__init__(**options)
        self.widget.attrs["inputmode"] = "decimal"

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value)).removeprefix("$").replace(",", "")
        if not text:
            return None
        try:
            parse_dollars_text(text)  # by the same rules as any amount
        except BadAmount:
            raise ValidationError(BAD_PRICE, code="invalid") from None
        return Decimal(text).scaleb(-6) if self.units == MILLION else Decimal(text)


class PriceForm(forms.Form):
    starts = WallClockField(label="From", help_text="UTC. Empty: from now on.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind, label in LABELS.items():
            units = MILLION if kind in TOKEN_KINDS else 1
            self.fields[kind] = PerUnit(units, label=label)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.rates = rates_from_wire(self._wire(cleaned))
            except BadAmount as error:
                kind = next((k for k, name in FIELD_OF.items() if name == error.field), None)
                self.add_error(kind if kind in self.fields else None, f"It {error}.")
            else:
                if not self.rates:
                    self.add_error("input", "Enter at least one price; 0 is one.")
        return cleaned

    @property
    def prices(self) -> dict[str, Any]:
        """Under the wire's names; None takes a price away."""
        return {FIELD_OF[kind]: self.cleaned_data.get(kind) for kind in LABELS}

    @property
    def starts_at(self) -> Any:
        starts = self.cleaned_data.get("starts")
        return starts and starts.replace(tzinfo=UTC)

    def main_fields(self) -> list[Any]:
        return [self[kind] for kind in MAIN]

    def other_fields(self) -> list[Any]:
        return [self[kind] for kind in LABELS if kind not in MAIN]

    @property
    def has_others(self) -> bool:
        return any(field.value() for field in self.other_fields())

    def _wire(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        return {FIELD_OF[kind]: cleaned.get(kind) for kind in LABELS}


def shown_prices(rates: Mapping[str, Any]) -> dict[str, str]:
    """What the form shows of rates in pico-dollars per unit."""
    found = {}
    for kind in LABELS:
        if kind in rates:
            dollars = price_dollars(rates[kind])
            if kind in TOKEN_KINDS:
                dollars = dollars.scaleb(6)
            found[kind] = f"{dollars.normalize():f}"
    return found
