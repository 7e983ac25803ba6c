"""Unpriced: which models on offer have no price, so that calls to them are refused."""

from datetime import datetime

from proxy.deployment_cards import priced_model
from proxy.models import Deployment
from proxy.providers import price_providers
from spend.price_book import load_price_book


def unpriced_models(now: datetime) -> list[str]:
    """Names of enabled models, in two queries. What a wildcard passes on is known per call only."""
    rows = [
        row
        for row in Deployment.objects.filter(enabled=True).select_related("upstream")
        if not row.upstream_model.endswith("*")
    ]
    asked = {row.id: priced_model(row) for row in rows}
    book = load_price_book(
        now, deployments=list(asked), models={model for _, model in asked.values()}
    )
    missing = set()
    for row in rows:
        provider, model = asked[row.id]
        if not book.find(deployment_id=row.id, providers=price_providers(provider), model=model):
            missing.add(row.model_name)
    return sorted(missing)
