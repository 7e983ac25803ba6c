"""PriceBook: of all the prices that count at an instant, the one that a model is billed by.

A deployment's own price, else an operator's, else a published list's. Within one source the
provider's own rows come before those of whose models it serves, and a model's name before a
pattern, of which the longest counts. A row without any rate says that there is no price of its
source from then on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Lower

from spend.models import Price, PriceSource
from spend.pricing import Tariff

ANY_PROVIDER = ""
PATTERN = r"[*?[]"


@dataclass(frozen=True, slots=True)
class PriceBook:
    own: Mapping[UUID, Price] = field(default_factory=dict)
    by_name: Mapping[tuple[str, str, str], Price] = field(default_factory=dict)
    patterns: Mapping[tuple[str, str], Sequence[Price]] = field(default_factory=dict)

    def tariff(
        self, *, deployment_id: UUID | None, providers: Sequence[str], model: str
    ) -> Tariff | None:
        """`providers`: the one that serves the model first, then those whose prices it asks."""
        row = self.find(deployment_id=deployment_id, providers=providers, model=model)
        if row is None:
            return None
        return Tariff.from_rates(row.rates, price_id=str(row.id), source=row.source)

    def find(
        self, *, deployment_id: UUID | None, providers: Sequence[str], model: str
    ) -> Price | None:
        own = self.own.get(deployment_id) if deployment_id else None
        if own is not None and own.rates:
            return own
        for source in (PriceSource.OPERATOR, PriceSource.CATALOGUE):
            for provider in (*providers, ANY_PROVIDER):
                row = self._named(source, provider, model.lower())
                if row is not None:
                    return row
        return None

    def _named(self, source: str, provider: str, model: str) -> Price | None:
        row = self.by_name.get((source, provider, model))
        if row is not None and row.rates:
            return row
        fitting = (
            row
            for row in self.patterns.get((source, provider), ())
            if row.rates and fnmatchcase(model, row.model.lower())
        )
        return max(fitting, key=lambda row: len(row.model), default=None)


def load_price_book(
    now: datetime,
    *,
    deployments: Collection[UUID],
    models: Collection[str],
    all_of: Collection[str] = (),
) -> PriceBook:
    """What counts at `now` for these deployments and models, and all of some providers; one query.

    The providers' rows are needed where what will be asked for is not known beforehand.
    """
    named = Q(deployment_id__isnull=True) & (
        Q(lower_model__in={model.lower() for model in models})
        | Q(model__regex=PATTERN)
        | Q(provider__in=[*all_of, ANY_PROVIDER])
    )
    rows = (
        Price.objects.filter(starts_at__lte=now)
        .alias(lower_model=Lower("model"))
        .filter(Q(deployment_id__in=deployments) | named)
        .order_by("source", "provider", "model", "deployment_id", "-starts_at")
        .distinct("source", "provider", "model", "deployment_id")
    )
    return make_price_book(_newest_first(rows))


def make_price_book(rows: Iterable[Price]) -> PriceBook:
    """Of rows that price the same, the first one counts."""
    own: dict[UUID, Price] = {}
    by_name: dict[tuple[str, str, str], Price] = {}
    patterns: dict[tuple[str, str], list[Price]] = {}
    for row in rows:
        if row.deployment_id is not None:
            own.setdefault(row.deployment_id, row)
        elif set(row.model) & set("*?["):
            patterns.setdefault((row.source, row.provider), []).append(row)
        else:
            by_name.setdefault((row.source, row.provider, row.model.lower()), row)
    return PriceBook(own, by_name, patterns)


def _newest_first(rows: Iterable[Price]) -> list[Price]:
    return sorted(rows, key=lambda row: row.starts_at, reverse=True)
