"""Tariff: a Price in the form that the hot path holds; cost(usage, tariff) -> Nanos."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from spend.errors import ModelNotPriced
from spend.money import Nanos, Picos, round_up
from spend.price_fields import rates_from_wire, wire_from_rates
from spend.rates import RATE_KINDS, TOKEN_KINDS, RateCard, RateMap, Rates, read_rates, write_rates
from spend.usage import Counts, Usage

__all__ = [
    "FREE",
    "UNPRICED",
    "Tariff",
    "breakdown",
    "cost",
    "cost_as_far_as_priced",
    "rates_from_wire",
    "wire_from_rates",
]

# A missing part price is the base price of its side.
BASE_OF = {
    "cached_input": ("input",),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write", "input"),
    "audio_input": ("input",),
    "reasoning": ("output",),
    "audio_output": ("output",),
    "image_output": ("output",),
}

REMEMBERED_MAX = 64
Kinds = frozenset[str] | tuple[str, ...]
UNIT_KINDS = (*TOKEN_KINDS, "input_images", "characters", "searches")


@dataclass(frozen=True, slots=True)
class Tariff:
    """One Price, frozen. `price_id` is None where no row stands behind it."""

    price_id: str | None
    source: str
    card: RateCard
    # What was worked out before: a tariff is asked several times for every call.
    _known: dict[tuple[str | None, int], RateMap] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _highest: dict[tuple[Kinds, int, str | None], Picos | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _marks: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._marks.extend(self.marks)

    @classmethod
    def from_rates(cls, rates: Mapping[str, Any], *, price_id: str | None, source: str) -> Self:
        """The tariff of a `Price.rates` object; BadAmount names the member that is wrong."""
        return cls(price_id, source, read_rates(rates))

    def as_rates(self) -> dict[str, Any]:
        """The `Price.rates` object of this tariff."""
        return write_rates(self.card)

    @property
    def price_uuid(self) -> UUID | None:
        return price_uuid(self.price_id) if self.price_id else None

    @property
    def is_priced(self) -> bool:
        return self.source != UNPRICED.source

    @property
    def marks(self) -> list[int]:
        """The numbers of input tokens above which some price changes."""
        every = [self.card.standard, *self.card.variants.values()]
        return sorted({mark for rates in every for mark in rates.above})

    def rate(
        self, kind: str, *, input_total: int = 0, service_tier: str | None = None
    ) -> Picos | None:
        """What a unit costs in a call with so much input; None if it has no price at all."""
        return self.rates_for(input_total, service_tier).get(kind)

    def rates_for(self, input_total: int, service_tier: str | None) -> RateMap:
        """What each kind costs in a call with so much input, missing part prices filled in."""
        passed = sum(input_total > mark for mark in self._marks) if self._marks else 0
        rates = self._known.get((service_tier, passed))
        if rates is None:
            levels = self._levels(input_total, service_tier)
            found = {kind: _find(kind, levels) for kind in (*RATE_KINDS, "tools")}
            rates = {kind: rate for kind, rate in found.items() if rate is not None}
            if service_tier is None or service_tier in self.card.variants:  # what clients make up
                self._known[(service_tier, passed)] = rates  # must not fill the memory
        return rates

    def highest_rate(
        self, kinds: Kinds, *, input_max: int, service_tier: str | None = None
    ) -> Picos | None:
        """The dearest of these kinds that a call with at most so much input may meet.

        A service tier that was asked for may not be granted, so the standard prices count too;
        None means that any may be chosen. None is returned when no such kind has a price.
        """
        passed = sum(input_max > mark for mark in self._marks) if self._marks else 0
        asked = (kinds, passed, service_tier)
        if asked not in self._highest:
            if len(self._highest) >= REMEMBERED_MAX:
                self._highest.clear()
            self._highest[asked] = self._find_highest(kinds, input_max, service_tier)
        return self._highest[asked]

    def _find_highest(self, kinds: Kinds, input_max: int, service_tier: str | None) -> Picos | None:
        variants = self.card.variants
        tiers = variants if service_tier is None else {service_tier} & variants.keys()
        rates = [self.card.standard, *(variants[tier] for tier in tiers)]
        tables = [table.base for table in rates]
        tables += [
            found for table in rates for mark, found in table.above.items() if mark < input_max
        ]
        return max(
            (table[kind] for table in tables for kind in kinds if kind in table), default=None
        )

    def _levels(self, input_total: int, service_tier: str | None) -> list[RateMap]:
        """Where to look for a price, first one first: long context before service tier."""
        variant = self.card.variants.get(service_tier or "")
        tables = [variant, self.card.standard] if variant else [self.card.standard]
        marks = sorted({mark for rates in tables for mark in rates.above}, reverse=True)
        passed = [mark for mark in marks if input_total > mark]
        tiers = [rates.above[mark] for mark in passed for rates in tables if mark in rates.above]
        return tiers + [rates.base for rates in tables]


price_uuid = lru_cache(1024)(UUID)

NOTHING = RateCard(Rates(dict.fromkeys((*RATE_KINDS, "tools"), Picos(0))))
# For models served without a price: all is free here, and `is_priced` is false.
UNPRICED = Tariff(None, "unpriced", NOTHING)
# For endpoints that no provider charges for.
FREE = Tariff(None, "free", NOTHING)


def cost(usage: Usage, tariff: Tariff, *, service_tier: str | None = None) -> Nanos:
    """Units x pico-dollars, summed over the kinds, rounded up once to nano-dollars.

    The long-context tier is chosen by all input tokens, cached ones included.
    Raises ModelNotPriced when a kind that was used has no price. Source: D6.
    """
    return round_up(sum(breakdown(usage, tariff, service_tier=service_tier).values()))


def breakdown(usage: Usage, tariff: Tariff, *, service_tier: str | None = None) -> dict[str, int]:
    """Pico-dollars by kind, only of what was used; their sum rounded up is the cost."""
    found: dict[str, int] = {}
    for kind, picos in _parts(usage, tariff, service_tier):
        if picos is None:
            raise ModelNotPriced(kind)
        found[kind] = found.get(kind, 0) + picos
    return found


def cost_as_far_as_priced(
    usage: Usage, tariff: Tariff, *, service_tier: str | None = None
) -> tuple[Nanos, list[str]]:
    """Never raises: the cost of the kinds that have a price, and the kinds that have none.

    For the bill of a call that is over, where money is owed whether or not the list is complete.
    """
    parts = list(_parts(usage, tariff, service_tier))
    known = round_up(sum(picos for _, picos in parts if picos is not None))
    return known, [kind for kind, picos in parts if picos is None]


def _parts(
    usage: Usage, tariff: Tariff, service_tier: str | None
) -> Iterator[tuple[str, int | None]]:
    rates = tariff.rates_for(usage.input_total, service_tier)
    for kind in UNIT_KINDS:
        if units := getattr(usage, kind):
            rate = rates.get(kind)
            yield kind, None if rate is None else units * rate
    for kind, milliseconds in (
        ("input_seconds", usage.input_ms),
        ("output_seconds", usage.output_ms),
    ):
        if milliseconds:
            rate = rates.get(kind)
            yield kind, None if rate is None else -(-milliseconds * rate // 1_000)
    if usage.images:
        yield from _named_parts("images", usage.images, tariff.card.image_prices, rates)
    if usage.tools:
        yield from _named_parts("tools", usage.tools, tariff.card.tool_prices, rates)
    if fee := rates.get("requests"):
        yield "requests", fee * max(1, usage.requests)


def _named_parts(
    kind: str, used: Counts, prices: RateMap, rates: RateMap
) -> Iterator[tuple[str, int | None]]:
    for name, count in used:
        rate = prices.get(name, rates.get(kind))
        yield kind, None if rate is None else count * rate


def _find(kind: str, levels: list[RateMap]) -> Picos | None:
    for name in (kind, *BASE_OF.get(kind, ())):
        for level in levels:
            if name in level:
                return level[name]
    return None
