"""Offers: models on offer, each with the price that counts for it, if there is one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from proxy.deployment_cards import priced_model
from proxy.models import Deployment
from proxy.providers import asks_for_secret, price_providers
from spend.models import Price, PriceSource
from spend.price_book import ANY_PROVIDER, load_price_book

SOURCES = {
    PriceSource.DEPLOYMENT.value: "its own price",
    PriceSource.OPERATOR.value: "the operator's price",
    PriceSource.CATALOGUE.value: "the price list's",
}
ROWS_MAX = 100


@dataclass(frozen=True, slots=True)
class Offer:
    """A wildcard's price is known per call only."""

    row: Deployment
    price: Price | None

    @property
    def passes_on(self) -> bool:
        return bool(self.row.upstream_model.endswith("*"))

    @property
    def is_unpriced(self) -> bool:
        """Its calls are refused until it has a price."""
        return self.price is None and not self.passes_on

    @property
    def lacks_secret(self) -> bool:
        """Its calls are sent, and refused there."""
        upstream = self.row.upstream
        has_none = upstream.secret is None and not upstream.secret_variable
        return has_none and asks_for_secret(upstream.provider, upstream.address)

    @property
    def is_own(self) -> bool:
        return self.price is not None and self.price.source != PriceSource.CATALOGUE

    @property
    def source(self) -> str:
        return "" if self.price is None else SOURCES[self.price.source]

    @property
    def rates(self) -> dict[str, Any]:
        return {} if self.price is None else dict(self.price.rates)


def read_offers(rows: Iterable[Deployment], now: datetime) -> list[Offer]:
    """Of deployments that were read with their upstreams; one query."""
    listed = list(rows)
    models = {priced_model(row)[1] for row in listed}
    book = load_price_book(now, deployments=[row.id for row in listed], models=models)
    offers = []
    for row in listed:
        provider, model = priced_model(row)
        price = book.find(deployment_id=row.id, providers=price_providers(provider), model=model)
        offers.append(Offer(row, None if row.upstream_model.endswith("*") else price))
    return offers


def read_prices(row: Deployment) -> Sequence[Price]:
    """Every price row that was ever written for it or for its model's name, the newest first."""
    provider, model = priced_model(row)
    providers = [*price_providers(provider), ANY_PROVIDER]
    named = Q(deployment_id__isnull=True, model__iexact=model, provider__in=providers)
    rows = Price.objects.filter(Q(deployment_id=row.id) | named)
    return list(rows.order_by("-starts_at", "source")[:ROWS_MAX])
