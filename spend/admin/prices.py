"""Prices in the admin: rows are added, and never changed once they are there."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from spend.admin.house import HouseAdmin, actor_of
from spend.audit import record_change
from spend.form_fields import ObjectField
from spend.models import Price, PriceSource
from spend.money import BadAmount
from spend.pricing import Tariff
from spend.rate_lines import rate_lines
from spend.rollover import database_now
from spend.templatetags.moments import full_moment
from spend.templatetags.money import per_million

FORM_FIELDS = ["provider", "model", "starts_at", "rates", "note"]
RATES_HELP = (
    "JSON, whole pico-dollars per unit: $2.50 per million tokens is 2500000. For example"
    ' {"input": 2500000, "cached_input": 1250000, "output": 10000000}; also "above":'
    ' {"200000": {...}} for long context, "priority" and "flex" for service tiers. An empty'
    " object ends the operator's price, so that the price list counts again."
)


class PriceForm(forms.ModelForm):
    starts_at = forms.DateTimeField(
        required=False,
        label="From",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
        help_text="UTC. Empty: from now on. Calls that were admitted earlier keep their price.",
    )
    # Not required, as an empty object is a value here: it ends a price.
    rates = ObjectField(required=False, help_text=RATES_HELP)

    class Meta:
        model = Price
        fields = FORM_FIELDS
        widgets = {"note": forms.Textarea(attrs={"rows": 2, "class": "lines"})}
        help_texts = {
            "provider": "Whose price it is, such as openai; empty: of any provider.",
            "model": "The upstream's name for the model, or a pattern such as gpt-4o-*.",
        }

    def clean_rates(self) -> dict[str, Any]:
        rates = self.cleaned_data["rates"]
        if rates is None:
            raise forms.ValidationError("Enter a JSON object.")
        try:
            return Tariff.from_rates(rates, price_id=None, source="").as_rates()
        except BadAmount as error:
            raise forms.ValidationError(f"{error}.") from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        cleaned["starts_at"] = cleaned.get("starts_at") or database_now()
        self.instance.source = PriceSource.OPERATOR
        if not self.errors and self._is_taken(cleaned):
            self.add_error("starts_at", "There is a price from that moment on already.")
        return cleaned

    def _is_taken(self, cleaned: dict[str, Any]) -> bool:
        key = {name: cleaned[name] for name in ("provider", "model", "starts_at")}
        return Price.objects.filter(source=PriceSource.OPERATOR, **key).exists()


@admin.register(Price)
class PriceAdmin(HouseAdmin):
    form = PriceForm
    list_display = ["model", "provider", "input", "cached_input", "output", "source", "begins"]
    list_filter = ["source", "provider"]
    search_fields = ["model"]
    sortable_by = ["model", "provider", "begins"]
    actions = None
    readonly_fields = ["begins", "rate_table", "deployment_id", "source", "created", "created_by"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> Any:
        if obj is None:
            return FORM_FIELDS
        named = ["provider", "model", "source"]
        if obj.deployment_id:
            named.append("deployment_id")
        return [*named, "begins", "rate_table", "note", "created", "created_by"]

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        obj.created_by = actor_of(request)
        obj.save(force_insert=True)
        after = {
            "provider": obj.provider,
            "model": obj.model,
            "starts_at": obj.starts_at.isoformat(),
            "rates": obj.rates,
        }
        name = f"{obj.provider}/{obj.model}"[:255]
        record_change(actor_of(request), "create", "price", name, after=after, reason=obj.note)

    @admin.display(description="from", ordering="starts_at")
    def begins(self, price: Price) -> SafeString | str:
        return full_moment(price.starts_at)

    @admin.display(description="created")
    def created(self, price: Price) -> SafeString | str:
        return full_moment(price.created_at)

    @admin.display(description="input per 1M")
    def input(self, price: Price) -> SafeString | str:
        return per_million(price.rates.get("input")) or "-"

    @admin.display(description="cached per 1M")
    def cached_input(self, price: Price) -> SafeString | str:
        return per_million(price.rates.get("cached_input")) or "-"

    @admin.display(description="output per 1M")
    def output(self, price: Price) -> SafeString | str:
        return per_million(price.rates.get("output")) or "-"

    @admin.display(description="rates")
    def rate_table(self, price: Price) -> SafeString | str:
        lines = rate_lines(price.rates)
        if not lines:
            return "none: from then on there is no price of this source"
        rows = format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', lines)
        return format_html('<table class="rates"><tbody>{}</tbody></table>', rows)
