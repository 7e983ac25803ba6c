"""Rates: the object a Price keeps, read within bounds.

`Price.rates` is one JSON object of whole pico-dollars per unit, all of it optional; only tokens
have prices by length or service tier:

    {"input": 2500000, "cached_input": 1250000, "output": 10000000,    any of RATE_KINDS
     "above": {"200000": {"input": 5000000}},          when more tokens than that go in
     "priority": {"input": 4250000, "above": {...}},   by the answer's service tier; "flex" alike
     "image_prices": {"1024x1024/high": 167000000000}, per image made, by size and quality
     "tool_prices": {"web_search": 10000000000}}       per call of a tool that the provider runs
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spend.money import PICOS_PER_DOLLAR, BadAmount, Picos
from spend.usage import INPUT_KINDS, OUTPUT_KINDS

TOKEN_KINDS = (*INPUT_KINDS, *OUTPUT_KINDS)
RATE_KINDS = (
    *TOKEN_KINDS,
    *("input_images", "images", "characters", "input_seconds", "output_seconds"),
    *("searches", "requests"),
)
SERVICE_TIERS = ("priority", "flex")
NAMED_PRICES = ("image_prices", "tool_prices")

# Dearer than anything sold, and at 10^9 units a side still within a 64-bit ledger. What is above
# is a price per million entered as a price per token.
TOKEN_RATE_MAX = PICOS_PER_DOLLAR
OTHER_RATE_MAX = 1_000 * PICOS_PER_DOLLAR
MEMBERS_MAX = 64

_MARK = re.compile(r"[1-9][0-9]{0,8}")

RateMap = Mapping[str, Picos]


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars by kind, and those that take their place above a mark of input tokens."""

    base: RateMap
    above: Mapping[int, RateMap] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RateCard:
    """All that a `Price.rates` object says."""

    standard: Rates
    variants: Mapping[str, Rates] = field(default_factory=dict)
    image_prices: RateMap = field(default_factory=dict)
    tool_prices: RateMap = field(default_factory=dict)


def read_rates(rates: Mapping[str, Any]) -> RateCard:
    """The object, checked; BadAmount names the member that is wrong."""
    return RateCard(
        _read_table(rates, "", RATE_KINDS, beside=(*SERVICE_TIERS, *NAMED_PRICES)),
        {
            tier: _read_table(_object(rates[tier], tier), f"{tier}.", TOKEN_KINDS)
            for tier in SERVICE_TIERS
            if tier in rates
        },
        *(_read_names(rates.get(name, {}), name) for name in NAMED_PRICES),
    )


def write_rates(card: RateCard) -> dict[str, Any]:
    """The object again, without empty members."""
    found = _write_table(card.standard)
    found |= {tier: _write_table(rates) for tier, rates in card.variants.items()}
    named = {"image_prices": card.image_prices, "tool_prices": card.tool_prices}
    return found | {name: dict(prices) for name, prices in named.items() if prices}


def checked_rate(kind: str, picos: object, name: str) -> Picos:
    """A rate in pico-dollars within bounds, or BadAmount with the name given."""
    most = TOKEN_RATE_MAX if kind in (*TOKEN_KINDS, "characters") else OTHER_RATE_MAX
    if type(picos) is not int or picos < 0:
        raise BadAmount("must be a whole number of pico-dollars, 0 or more", name)
    if picos > most:
        dollars = most // PICOS_PER_DOLLAR
        raise BadAmount(
            f"must be at most {dollars} USD: a price is per unit, not per million", name
        )
    return Picos(picos)


def _read_table(
    table: Mapping[str, Any], path: str, allowed: tuple[str, ...], *, beside: tuple[str, ...] = ()
) -> Rates:
    kinds = {kind: rate for kind, rate in table.items() if kind not in (*beside, "above")}
    above = _object(table.get("above", {}), f"{path}above")
    tiers = {
        _mark(mark, path): _object(found, f"{path}above.{mark}") for mark, found in above.items()
    }
    return Rates(
        _read_kinds(kinds, path, allowed),
        {
            mark: _read_kinds(found, f"{path}above.{mark}.", TOKEN_KINDS)
            for mark, found in tiers.items()
        },
    )


def _read_kinds(table: Mapping[str, Any], path: str, allowed: tuple[str, ...]) -> RateMap:
    for kind in table:
        if kind not in allowed:
            raise BadAmount("is not a kind that can have a price here", f"{path}{kind}")
    return {kind: checked_rate(kind, rate, f"{path}{kind}") for kind, rate in table.items()}


def _read_names(prices: object, name: str) -> RateMap:
    return {
        key: checked_rate(name, rate, f"{name}.{key}")
        for key, rate in _object(prices, name).items()
    }


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadAmount("must be an object", name)
    if len(value) > MEMBERS_MAX:
        raise BadAmount(f"must have at most {MEMBERS_MAX} members", name)
    return value


def _mark(text: str, path: str) -> int:
    if not _MARK.fullmatch(text):
        raise BadAmount("must be named by a number of input tokens", f"{path}above.{text}")
    return int(text)


def _write_table(rates: Rates) -> dict[str, Any]:
    above = {str(mark): dict(found) for mark, found in sorted(rates.above.items())}
    return {**rates.base, **({"above": above} if above else {})}
