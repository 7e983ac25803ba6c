"""Answers: models on offer as the wire has them; their secrets masked, their prices told."""

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.deployment_cards import priced_model
from proxy.model_changes import TERMS
from proxy.models import Deployment
from proxy.providers import price_providers
from proxy.upstream_terms import masked_secret
from spend.models import Price
from spend.price_book import PriceBook, load_price_book
from spend.price_fields import wire_from_rates
from spend.rollover import database_now


def model_objects(
    deployments: Iterable[Deployment], *, shows_upstream: bool = True
) -> list[dict[str, Any]]:
    """Deployments that were read with their upstreams; one more query however many they are.

    Who may not see the upstream is told neither its address nor anything of its secret.
    """
    listed = list(deployments)
    book = load_price_book(
        database_now(),
        deployments=[deployment.id for deployment in listed],
        models={priced_model(deployment)[1] for deployment in listed},
    )
    objects = [_model_object(deployment, book) for deployment in listed]
    if not shows_upstream:
        for found in objects:
            found["litellm_params"] |= {"api_base": None, "api_key": None}
    return objects


def _model_object(deployment: Deployment, book: PriceBook) -> dict[str, Any]:
    upstream = deployment.upstream
    own = book.own.get(deployment.id)
    return {
        "model_name": deployment.model_name,
        "litellm_params": {
            "model": f"{upstream.provider}/{deployment.upstream_model}",
            "api_base": upstream.address,
            "api_key": masked_secret(upstream),
            "api_version": upstream.api_version or None,
            "tags": deployment.tags,
            "weight": deployment.weight,
            "order": deployment.order,
            "timeout": deployment.timeout_seconds,
            "stream_timeout": deployment.stream_timeout_seconds,
            "max_retries": deployment.max_retries,
        },
        "model_info": {
            "id": deployment.id,
            "db_model": True,
            "mode": deployment.mode,
            "base_model": deployment.base_model or None,
            "aliases": deployment.aliases,
            "max_input_tokens": deployment.input_tokens_max,
            "max_output_tokens": deployment.output_tokens_max,
            **dict.fromkeys(TERMS),
            **deployment.terms,
            **wire_from_rates(own.rates if own else {}),
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
            "created_by": deployment.created_by,
        },
        "effective_price": _effective_price(deployment, book),
    }


def _effective_price(deployment: Deployment, book: PriceBook) -> Mapping[str, Any] | None:
    provider, model = priced_model(deployment)
    row: Price | None = book.find(
        deployment_id=deployment.id, providers=price_providers(provider), model=model
    )
    if row is None:
        return None
    return {
        "source": row.source,
        "price_id": row.id,
        "starts_at": row.starts_at,
        **wire_from_rates(row.rates),
    }
