"""Deployments: create_deployment, change_deployment, delete_deployment; each is one transaction.

A deployment, its upstream, its price and the audit change together or not at all. An upstream row
is shared by the deployments with the same provider, address and secret, and goes with the last of
them. A price is never changed: a new row succeeds the old one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from proxy.models import Deployment
from proxy.upstream_terms import (
    UpstreamTerms,
    delete_if_unused,
    find_or_create_upstream,
    masked_secret,
    upstream_terms,
)
from spend.audit import record_change
from spend.ids import new_row_id
from spend.models import Price, PriceSource
from spend.price_book import load_price_book
from spend.price_fields import rates_from_wire, wire_from_rates
from spend.rates import NAMED_PRICES
from spend.rollover import database_now


class DeploymentExists(Exception):
    """The id is taken."""


@transaction.atomic
def create_deployment(
    terms: Mapping[str, Any],
    upstream: UpstreamTerms,
    prices: Mapping[str, object],
    *,
    actor: str,
    deployment_id: UUID | None = None,
) -> Deployment:
    """`terms` are a Deployment's fields, `prices` dollars per unit under the wire's names.

    Raises DeploymentExists, BadAmount (which names the price), or VaultError.
    """
    deployment = Deployment(
        id=deployment_id or new_row_id(),
        upstream=find_or_create_upstream(upstream),
        created_by=actor,
        **terms,
    )
    try:
        with transaction.atomic():
            deployment.save(force_insert=True)
    except IntegrityError:
        raise DeploymentExists from None
    _succeed_price(deployment, rates_from_wire(prices), actor)
    _record(actor, "create", deployment, before=None, after=audit_values(deployment))
    return deployment


@transaction.atomic
def change_deployment(
    deployment_id: UUID,
    changes: Mapping[str, Any],
    upstream_changes: Mapping[str, Any],
    prices: Mapping[str, object],
    *,
    actor: str,
) -> Deployment:
    """What is not named stays. `terms`, a dict, and prices are merged; None removes a member.

    Another address, provider or secret is this deployment's alone: those that shared its upstream
    keep the old one. Raises Deployment.DoesNotExist, BadAmount, or VaultError.
    """
    deployment = Deployment.objects.select_for_update().get(pk=deployment_id)
    before = audit_values(deployment)
    for name, value in changes.items():
        current = getattr(deployment, name)
        setattr(deployment, name, _merged(current, value) if name == "terms" else value)
    if upstream_changes:
        _move_upstream(deployment, upstream_changes)
    deployment.save()
    if prices:
        _succeed_price(deployment, _merged_rates(own_rates(deployment), prices), actor)
    after = audit_values(deployment)
    if after != before:
        _record(actor, "update", deployment, before=before, after=after)
    return deployment


@transaction.atomic
def delete_deployment(deployment_id: UUID, *, actor: str) -> None:
    """Log rows and prices stay, so that history can be told. Raises Deployment.DoesNotExist."""
    deployment = Deployment.objects.select_for_update().get(pk=deployment_id)
    before = audit_values(deployment)
    upstream = deployment.upstream
    _record(actor, "delete", deployment, before=before, after=None)
    deployment.delete()
    delete_if_unused(upstream)


@transaction.atomic
def set_own_price(
    deployment_id: UUID,
    prices: Mapping[str, object],
    *,
    starts_at: datetime | None = None,
    actor: str,
) -> Deployment:
    """Merged into the deployment's own price; None takes one away, and with the last its own price.

    A new row from that moment on, or from now; what was billed keeps its price. Raises
    Deployment.DoesNotExist or BadAmount.
    """
    deployment = Deployment.objects.select_for_update().get(pk=deployment_id)
    before = {"rates": own_rates(deployment)}
    rates = _merged_rates(own_rates(deployment), prices)
    _succeed_price(deployment, rates, actor, starts_at=starts_at)
    after: dict[str, Any] = {"rates": rates}
    if starts_at is not None:
        after["starts_at"] = starts_at.isoformat()
    if after != before:
        _record(actor, "price", deployment, before=before, after=after)
    return deployment


def own_rates(deployment: Deployment) -> dict[str, Any]:
    """The rates of the deployment's own price that counts now; empty if it has none."""
    book = load_price_book(database_now(), deployments=[deployment.id], models=())
    row = book.own.get(deployment.id)
    rates: dict[str, Any] = row.rates if row else {}
    return rates


def audit_values(deployment: Deployment) -> dict[str, Any]:
    """All that matters of a deployment, with its secret masked."""
    upstream = deployment.upstream
    return {
        "model_name": deployment.model_name,
        "aliases": deployment.aliases,
        "provider": upstream.provider,
        "address": upstream.address,
        "api_version": upstream.api_version,
        "secret": masked_secret(upstream),
        "upstream": str(upstream.id),
        "upstream_model": deployment.upstream_model,
        "base_model": deployment.base_model,
        "mode": deployment.mode,
        "tags": deployment.tags,
        "order": deployment.order,
        "weight": deployment.weight,
        "timeout_seconds": deployment.timeout_seconds,
        "stream_timeout_seconds": deployment.stream_timeout_seconds,
        "max_retries": deployment.max_retries,
        "input_tokens_max": deployment.input_tokens_max,
        "output_tokens_max": deployment.output_tokens_max,
        "terms": deployment.terms,
        "enabled": deployment.enabled,
        "rates": own_rates(deployment),
    }


# -- upstreams -----------------------------------------------------------------------------------


def _move_upstream(deployment: Deployment, changes: Mapping[str, Any]) -> None:
    previous = deployment.upstream
    if {"secret", "secret_variable"} <= changes.keys():  # the old one need not be opened
        kept = UpstreamTerms(
            provider=previous.provider,
            address=previous.address,
            api_version=previous.api_version,
        )
    else:
        kept = upstream_terms(previous)
    deployment.upstream = find_or_create_upstream(replace(kept, **changes))
    deployment.save(update_fields=["upstream"])
    delete_if_unused(previous)


# -- prices and the audit ------------------------------------------------------------------------


def _succeed_price(
    deployment: Deployment,
    rates: dict[str, Any],
    actor: str,
    *,
    starts_at: datetime | None = None,
) -> None:
    """A new row if the rates differ; one without rates ends the deployment's own price."""
    if starts_at is None and rates == own_rates(deployment):
        return
    Price.objects.create(
        source=PriceSource.DEPLOYMENT,
        provider=deployment.upstream.provider,
        model=deployment.upstream_model,
        deployment_id=deployment.id,
        starts_at=starts_at or database_now(),
        rates=rates,
        created_by=actor,
    )


def _merged_rates(rates: Mapping[str, Any], prices: Mapping[str, object]) -> dict[str, Any]:
    fields = wire_from_rates(rates)
    for name, value in prices.items():
        if name in NAMED_PRICES and isinstance(value, Mapping):
            fields[name] = _merged(fields.get(name, {}), value)
        else:
            fields[name] = value
    return rates_from_wire(fields)


def _merged(current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**current, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _record(
    actor: str,
    action: str,
    deployment: Deployment,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    name = f"{deployment.model_name} {deployment.id}"[:255]
    record_change(actor, action, "model", name, before=before, after=after)
