"""Arithmetic: how a row's cost was reckoned, line by line: units x price = pico-dollars."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from spend.cost_breakdown import UNEXPLAINED, break_down_row
from spend.models import SpendLog
from spend.money import Picos
from spend.pricing import Tariff
from spend.rates import RateMap
from spend.usage import Counts, Usage

UNIT_OF = {
    "input_images": "image",
    "images": "image",
    "characters": "character",
    "input_seconds": "second",
    "output_seconds": "second",
    "searches": "search",
    "tools": "call",
    "requests": "request",
}  # all others are tokens
MILLISECONDS_OF = {"input_seconds": "input_ms", "output_seconds": "output_ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What has no units has no price either: it was charged as a whole."""

    kind: str
    name: str | None = None  # of a tool, or of a size of images
    units: Decimal | None = None
    unit: str | None = None
    price: Picos | None = None
    cost: int  # pico-dollars


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The sum of its lines, rounded up once to nano-dollars, is the row's cost."""

    lines: tuple[Line, ...]
    service_tier: str | None
    input_tokens: int  # they choose between the prices of short and of long context

    @property
    def sum(self) -> int:
        return sum(line.cost for line in self.lines)


def arithmetic_of(row: SpendLog, tariffs: Mapping[UUID, Tariff]) -> Arithmetic:
    found = break_down_row(row, tariffs)
    tariff = tariffs.get(row.price_id) if row.price_id else None
    usage = Usage.from_json(row.usage) if row.usage else Usage()
    rates = tariff.rates_for(usage.input_total, found.service_tier) if tariff else {}
    lines = [
        line
        for kind, picos in found.parts.items()
        for line in _lines(kind, picos, usage, rates, tariff)
    ]
    return Arithmetic(tuple(lines), found.service_tier, usage.input_total)


def _lines(
    kind: str, picos: int, usage: Usage, rates: RateMap, tariff: Tariff | None
) -> Iterator[Line]:
    if kind in UNEXPLAINED or tariff is None:
        yield Line(kind=kind, cost=picos)
    elif kind == "images":
        yield from _named(kind, usage.images, tariff.card.image_prices, rates)
    elif kind == "tools":
        yield from _named(kind, usage.tools, tariff.card.tool_prices, rates)
    else:
        units, unit = _units(kind, usage), UNIT_OF.get(kind, "token")
        yield Line(kind=kind, units=units, unit=unit, price=rates[kind], cost=picos)


def _named(kind: str, used: Counts, prices: RateMap, rates: RateMap) -> Iterator[Line]:
    for name, count in used:
        price = prices[name] if name in prices else rates[kind]
        yield Line(
            kind=kind,
            name=name or None,
            units=Decimal(count),
            unit=UNIT_OF[kind],
            price=price,
            cost=count * price,
        )


def _units(kind: str, usage: Usage) -> Decimal:
    if kind in MILLISECONDS_OF:
        return Decimal(f"{getattr(usage, MILLISECONDS_OF[kind])}E-3")
    if kind == "requests":
        return Decimal(max(1, usage.requests))
    return Decimal(getattr(usage, kind))
