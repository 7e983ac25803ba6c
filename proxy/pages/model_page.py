"""ModelPage: one model on offer: where it is served, what it costs and cost, what was changed."""

from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from proxy.deployments import change_deployment, delete_deployment, set_own_price
from proxy.model_use import ModelUse, cost_at, read_model_uses
from proxy.models import Deployment
from proxy.offers import SOURCES, Offer, read_offers, read_prices
from proxy.pages.keys import TRY
from proxy.pages.prices import ADD, CHANGE, DELETE, PRICE, SEE
from proxy.price_form import PriceForm, shown_prices
from proxy.upstream_terms import masked_secret
from spend.models import Price, PriceSource
from spend.price_fields import FIELD_OF
from spend.pricing import Tariff
from spend.rate_lines import rate_lines
from tags.history import read_entries
from tags.pages.page import Page

NOT_THE_NAME = "That is not the model's name."


class ModelPage(Page):
    seen_by = (SEE,)

    @cached_property
    def row(self) -> Deployment:
        row = Deployment.objects.select_related("upstream").filter(pk=self.kwargs["pk"]).first()
        if row is None:
            raise Http404
        return row

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.row.model_name

    @cached_property
    def offer(self) -> Offer:
        (offer,) = read_offers([self.row], self.now)
        return offer

    @cached_property
    def use(self) -> ModelUse:
        name = self.row.model_name
        return read_model_uses([name], self.now).get(name, ModelUse())

    def address(self) -> str:
        return reverse("price", args=[self.row.pk])

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "row": self.row,
            "name": self.row.model_name,
            "offer": self.offer,
            "use": self.use,
            "may_add": self.may(ADD),
            "may_change": self.may(CHANGE),
            "may_price": self.may(PRICE),
            "may_delete": self.may(DELETE),
            "may_try": self.may(TRY),
        }


class ModelSummary(ModelPage):
    template_name = "proxy/model.html"

    def context(self) -> dict[str, Any]:
        entries, older = read_entries(
            f"{self.row.model_name} {self.row.pk}"[:255], kind="model", before_id=self._cursor()
        )
        return {
            **super().context(),
            "secret": masked_secret(self.row.upstream),
            "lines": rate_lines(self.offer.rates),
            "prices": [self._told(price) for price in read_prices(self.row)],
            "entries": entries,
            "older_entries": older,
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Offer it, or offer it no longer."""
        if not self.may(CHANGE):
            raise PermissionDenied
        enabled = request.POST.get("enabled") == "yes"
        change_deployment(self.row.pk, {"enabled": enabled}, {}, {}, actor=self.actor)
        word = "is on offer" if enabled else "is on offer no longer; calls in flight finish"
        return self.say(f"{self.row.model_name} {word}.", self.address())

    def _told(self, price: Price) -> dict[str, Any]:
        is_now = self.offer.price is not None and price.pk == self.offer.price.pk
        return {
            "row": price,
            "source": SOURCES[price.source],
            "lines": rate_lines(price.rates),
            "is_now": is_now,
            "is_to_come": price.starts_at > self.now,
        }

    def _cursor(self) -> int | None:
        text = self.request.GET.get("changes_before", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class SetPrice(ModelPage):
    """An own price, with what the last 30 days would have cost at it; rows are never changed."""

    template_name = "proxy/model_price.html"
    fragments = {"preview": "proxy/_price_preview.html"}
    done_by = (PRICE,)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Price of {self.row.model_name}"

    @cached_property
    def form(self) -> PriceForm:
        return PriceForm(self.request.POST or None, initial=shown_prices(self.offer.rates))

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(PRICE):
            raise PermissionDenied
        return self.show()

    def context(self) -> dict[str, Any]:
        would = None
        if self.form.is_bound and self.form.is_valid():
            would = cost_at(self.use, self.form.rates)
        return {
            **super().context(),
            "form": self.form,
            "would": would,
            "list_lines": rate_lines(self._listed()),
            "has_own": self.offer.price is not None
            and self.offer.price.source == PriceSource.DEPLOYMENT,
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "preview" in request.POST:
            return self.show()
        if "list" in request.POST:
            return self._back_to_the_list()
        if not self.form.is_valid():
            return self.show(status=422)
        starts_at = self.form.starts_at
        if starts_at is not None and starts_at < self.now:
            self.form.add_error("starts", "A price cannot begin in the past: calls were billed.")
            return self.show(status=422)
        set_own_price(self.row.pk, self.form.prices, starts_at=starts_at, actor=self.actor)
        when = "now on" if starts_at is None else f"{starts_at:%d %b %Y, %H:%M} UTC on"
        return self.say(f"{self.row.model_name} has its own price from {when}.", self.address())

    def _back_to_the_list(self) -> HttpResponse:
        nothing = dict.fromkeys(FIELD_OF.values())
        set_own_price(self.row.pk, nothing, actor=self.actor)
        text = f"{self.row.model_name} has no own price any more; the price list counts."
        return self.say(text, self.address())

    def _listed(self) -> dict[str, Any]:
        """What the price list says, whatever counts now."""
        for price in read_prices(self.row):
            if price.source == PriceSource.CATALOGUE and price.starts_at <= self.now:
                return Tariff.from_rates(price.rates, price_id=None, source="").as_rates()
        return {}


class DeleteModel(ModelPage):
    template_name = "proxy/model_delete.html"
    fragments = {"dialog": "proxy/_model_delete.html"}
    done_by = (DELETE,)
    problems: dict[str, str] = {}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(DELETE):
            raise PermissionDenied
        return self.show()

    def context(self) -> dict[str, Any]:
        return {**super().context(), "problems": self.problems, "back": self.address()}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.POST.get("name", "").strip() != self.row.model_name:
            self.problems = {"name": NOT_THE_NAME}
            return self.show(status=422)
        delete_deployment(self.row.pk, actor=self.actor)
        text = f"{self.row.model_name} is deleted. Its log rows and prices stay."
        return self.say(text, reverse("prices"))
