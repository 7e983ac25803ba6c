"""Models and prices: the list of what is on offer, what it costs, and where a price is missing."""

from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from kombu.exceptions import OperationalError

from proxy.model_use import ModelUse, read_model_uses
from proxy.models import Deployment, Upstream
from proxy.offers import Offer, read_offers
from spend.attention import PRICE_LIST_DAYS_MAX, price_list_loaded_at
from spend.models import JobRun
from spend.tasks import load_prices
from tags.pages.page import Page

SEE, PRICE = "spend.view_price", "spend.add_price"
ADD, CHANGE, DELETE = (
    "proxy.add_deployment", "proxy.change_deployment", "proxy.delete_deployment",
)  # fmt: skip
ROWS_MAX = 500
TEXT_MAX = 128
STATES = {"unpriced": "No price", "own": "Own price", "off": "Disabled"}


class PricesPage(Page):
    title = "Models and prices"
    template_name = "proxy/prices.html"
    fragments = {"prices": "proxy/_prices.html"}
    seen_by = (SEE,)

    @cached_property
    def asked(self) -> dict[str, str]:
        names = ("q", "state", "upstream")
        found = {name: self.request.GET.get(name, "")[:TEXT_MAX] for name in names}
        return {name: text.replace("\0", "").strip() for name, text in found.items()}

    def context(self) -> dict[str, Any]:
        found = read_offers(self._rows(), self.now)
        counts = {state: sum(is_so(offer, state) for offer in found) for state in STATES}
        state = self.asked["state"]
        shown = [offer for offer in found if state not in STATES or is_so(offer, state)]
        shown.sort(key=lambda offer: not offer.is_unpriced or not offer.row.enabled)
        uses = read_model_uses([offer.row.model_name for offer in shown], self.now)
        runs = {run.job: run.last_success_at for run in JobRun.objects.all()}
        loaded_at = price_list_loaded_at(runs)
        return {
            "offers": [(offer, uses.get(offer.row.model_name, ModelUse())) for offer in shown],
            "all_count": len(found),
            "chips": [(name, STATES[name], counts[name]) for name in STATES],
            "asked": self.asked,
            "is_filtered": any(self.asked.values()),
            "upstreams": Upstream.objects.order_by("name"),
            "loaded_at": loaded_at,
            "is_old": loaded_at is not None and (self.now - loaded_at).days > PRICE_LIST_DAYS_MAX,
            "may_add": self.may(ADD),
            "may_change": self.may(CHANGE),
            "may_price": self.may(PRICE),
            "may_delete": self.may(DELETE),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Load the price list again, as beat does once a day."""
        if not self.may(PRICE):
            raise PermissionDenied
        try:
            load_prices.delay()
        except OperationalError:
            text = "The jobs cannot be reached, so the price list is not loaded. Is Redis running?"
        else:
            text = "The price list is being loaded. Prices that changed count from then on."
        return self.say(text, reverse("prices"))

    def _rows(self) -> Any:
        rows = Deployment.objects.select_related("upstream")
        if text := self.asked["q"]:
            named = Q(model_name__icontains=text) | Q(upstream_model__icontains=text)
            rows = rows.filter(named | Q(aliases__contains=[text]))
        if name := self.asked["upstream"]:
            rows = rows.filter(upstream__name=name)
        return rows.order_by("model_name", "order", "id")[:ROWS_MAX]


def is_so(offer: Offer, state: str) -> bool:
    match state:
        case "unpriced":
            return offer.is_unpriced and bool(offer.row.enabled)
        case "own":
            return offer.is_own
        case _:
            return not offer.row.enabled
