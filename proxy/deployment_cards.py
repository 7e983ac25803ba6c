"""DeploymentCard: a deployment, its upstream and its price as one frozen value for the hot path."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from proxy.models import Deployment, Upstream
from proxy.providers import PROVIDERS, price_providers, split_model
from proxy.vault import VaultError, upstream_secret
from spend.estimate import ModelLimits
from spend.price_book import PriceBook, load_price_book
from spend.pricing import Tariff

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentCard:
    """What the journey knows of a deployment. `secret` and `book` never show in a repr.

    `is_locked`: its secret cannot be opened, so it must not be called. `tariff` is None for a
    model without a price, and for a wildcard until `for_model` said what is asked of it.
    """

    id: UUID
    model_name: str
    aliases: tuple[str, ...]
    provider: str
    dialect: str
    address: str
    secret: str | None = field(repr=False)
    is_locked: bool
    api_version: str
    upstream_model: str
    base_model: str
    mode: str
    tags: frozenset[str]
    order: int
    weight: int
    timeout_seconds: int | None
    stream_timeout_seconds: int | None
    max_retries: int | None
    input_tokens_max: int | None
    output_tokens_max: int | None
    terms: Mapping[str, Any]
    created_at: datetime
    tariff: Tariff | None
    book: PriceBook | None = field(repr=False, default=None)

    @property
    def id_text(self) -> str:
        return id_text(self.id)

    @property
    def is_wildcard(self) -> bool:
        return self.model_name.endswith("*")

    @property
    def passes_model_on(self) -> bool:
        """Whether the upstream's model depends on what the client asks for."""
        return self.upstream_model.endswith("*")

    @property
    def limits(self) -> ModelLimits:
        return ModelLimits(
            input_tokens_max=self.input_tokens_max,
            output_tokens_max=self.output_tokens_max,
            token_margin=self.terms.get("token_margin") or 0,
            reasoning_tokens_max=self.terms.get("reasoning_tokens_max") or 0,
            image_tokens_max=self.terms.get("image_tokens_max"),
        )

    def for_model(self, asked: str) -> "DeploymentCard":
        """The card with the upstream's model and the price of what is asked for.

        `openai/*` behind `openai/*` passes on what stands behind the prefix.
        """
        if not self.passes_model_on:
            return self
        behind = asked[len(self.model_name) - 1 :] if self.is_wildcard else asked
        upstream_model = self.upstream_model[:-1] + behind
        tariff = self.tariff
        if self.book is not None:
            tariff = find_tariff(
                self.book, self.id, self.provider, self.base_model or upstream_model
            )
        return replace(self, upstream_model=upstream_model, tariff=tariff, book=None)


id_text = lru_cache(4096)(str)


def load_catalogue(now: datetime) -> tuple[DeploymentCard, ...]:
    """All enabled deployments with the prices that count at `now`; two queries."""
    rows = list(Deployment.objects.filter(enabled=True).select_related("upstream"))
    book = load_price_book(
        now,
        deployments=[row.id for row in rows],
        models={priced_model(row)[1] for row in rows},
        all_of={
            name
            for row in rows
            if row.upstream_model.endswith("*")
            for name in price_providers(row.upstream.provider)
        },
    )
    secrets: dict[UUID, str | VaultError | None] = {}
    for row in rows:
        if row.upstream_id not in secrets:
            secrets[row.upstream_id] = _open(row.upstream)
    return tuple(_card(row, secrets[row.upstream_id], book) for row in rows)


def find_tariff(book: PriceBook, deployment_id: UUID, provider: str, model: str) -> Tariff | None:
    return book.tariff(
        deployment_id=deployment_id, providers=price_providers(provider), model=model
    )


def priced_model(row: Deployment) -> tuple[str, str]:
    """Provider and model that a deployment's price is looked up by: its base model, if it has one.

    A base model may name its provider, as in `azure/gpt-4o`.
    """
    if not row.base_model:
        return row.upstream.provider, row.upstream_model
    prefix, slash, _ = row.base_model.partition("/")
    if slash and prefix in PROVIDERS:
        provider, model = split_model(row.base_model)
        return provider.name, model
    return row.upstream.provider, row.base_model


def _card(row: Deployment, secret: str | VaultError | None, book: PriceBook) -> DeploymentCard:
    upstream = row.upstream
    provider, model = priced_model(row)
    return DeploymentCard(
        id=row.id,
        model_name=row.model_name,
        aliases=_texts(row.aliases),
        provider=upstream.provider,
        dialect=PROVIDERS[upstream.provider].dialect if upstream.provider in PROVIDERS else "",
        address=upstream.address,
        secret=None if isinstance(secret, VaultError) else secret,
        is_locked=isinstance(secret, VaultError),
        api_version=upstream.api_version,
        upstream_model=row.upstream_model,
        base_model=row.base_model,
        mode=row.mode,
        tags=frozenset(row.tags),
        order=row.order,
        weight=row.weight,
        timeout_seconds=row.timeout_seconds,
        stream_timeout_seconds=row.stream_timeout_seconds,
        max_retries=row.max_retries,
        input_tokens_max=row.input_tokens_max,
        output_tokens_max=row.output_tokens_max,
        terms=row.terms,
        created_at=row.created_at,
        tariff=find_tariff(book, row.id, provider, model),
        book=book if row.upstream_model.endswith("*") else None,
    )


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(values)


def _open(upstream: Upstream) -> str | VaultError | None:
    try:
        return upstream_secret(upstream)
    except VaultError as error:
        logger.error("upstream_locked upstream=%s reason=%s", upstream.id, error)
        return error
