"""Rate lines: the rates of a price as lines of text, dollars per million tokens or per unit."""

from collections.abc import Iterator, Mapping
from typing import Any

from spend.rates import NAMED_PRICES, SERVICE_TIERS, TOKEN_KINDS
from spend.templatetags.money import per_million_text, unit_text

# What one unit of a kind is, where it is not a token.
UNITS = {
    "input_images": "image",
    "images": "image made",
    "characters": "character",
    "input_seconds": "second of input",
    "output_seconds": "second of output",
    "searches": "search",
    "requests": "request",
    "image_prices": "image made",
    "tool_prices": "call",
}

Line = tuple[str, str]  # what is priced, and its price


def rate_lines(rates: Mapping[str, Any]) -> list[Line]:
    """`("cached input", "$0.25 per 1M tokens")` and so on, in the order of the kinds."""
    return [
        *_lines_of(rates, ""),
        *(
            line
            for tier in SERVICE_TIERS
            if tier in rates
            for line in _lines_of(rates[tier], f", {tier}")
        ),
        *(
            (f"{name.removesuffix('_prices')} {key}".strip(), _price(name, picos))
            for name in NAMED_PRICES
            for key, picos in rates.get(name, {}).items()
        ),
    ]


def _lines_of(table: Mapping[str, Any], suffix: str) -> Iterator[Line]:
    for kind, picos in table.items():
        if type(picos) is int:
            yield f"{kind.replace('_', ' ')}{suffix}", _price(kind, picos)
    for mark, inner in sorted(table.get("above", {}).items(), key=lambda item: int(item[0])):
        yield from _lines_of(inner, f"{suffix}, above {int(mark):,} input tokens")


def _price(kind: str, picos: int) -> str:
    if kind in TOKEN_KINDS:
        return f"{per_million_text(picos)} per 1M tokens"
    return f"{unit_text(picos)} per {UNITS[kind]}"
