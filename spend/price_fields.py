"""Price fields: dollars per unit under LiteLLM's names <-> the rates that a Price keeps.

A token's field takes two suffixes, in this order: `_above_200k_tokens` (any number of tokens, in
thousands or whole), and `_priority` or `_flex`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from spend.money import BadAmount, Picos, parse_price, price_dollars
from spend.rates import NAMED_PRICES, SERVICE_TIERS, checked_rate, read_rates, write_rates

TOKEN_FIELDS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_image_token": "image_output",
}
UNIT_FIELDS = {
    "input_cost_per_image": "input_images",
    "output_cost_per_image": "images",
    "input_cost_per_character": "characters",
    "input_cost_per_second": "input_seconds",
    "output_cost_per_second": "output_seconds",
    "input_cost_per_query": "searches",
    "input_cost_per_request": "requests",
}
FIELD_OF = {kind: name for name, kind in (TOKEN_FIELDS | UNIT_FIELDS).items()}

_TOKEN_FIELD = re.compile(
    rf"({'|'.join(sorted(TOKEN_FIELDS, key=len, reverse=True))})"
    r"(?:_above_(?:([1-9][0-9]{0,5})k|([1-9][0-9]{0,8}))_tokens)?"
    rf"(?:_({'|'.join(SERVICE_TIERS)}))?"
)


class PriceField(NamedTuple):
    kind: str
    mark: int | None = None
    service_tier: str | None = None


def read_price_field(name: str) -> PriceField | None:
    """What a member's name prices; None when it is no price per unit."""
    if name in UNIT_FIELDS:
        return PriceField(UNIT_FIELDS[name])
    found = _TOKEN_FIELD.fullmatch(name)
    if not found:
        return None
    base, thousands, tokens, service_tier = found.groups()
    mark = int(f"{thousands}000" if thousands else tokens) if thousands or tokens else None
    return PriceField(TOKEN_FIELDS[base], mark, service_tier)


def is_price_field(name: str) -> bool:
    return name in NAMED_PRICES or read_price_field(name) is not None


def rates_from_wire(fields: Mapping[str, object]) -> dict[str, Any]:
    """The `Price.rates` of an object's price fields; null ones and other members are left out.

    Raises BadAmount, which names the field.
    """
    rates: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name in NAMED_PRICES:
            rates[name] = _named_rates(name, value)
        elif found := read_price_field(name):
            _table(rates, found)[found.kind] = _rate(found.kind, value, name)
    return write_rates(read_rates(rates))


def wire_from_rates(rates: Mapping[str, Any]) -> dict[str, Any]:
    """The price fields of a `Price.rates`: exact Decimals, and objects of them for named prices."""
    found: dict[str, Any] = {}
    for service_tier in (None, *SERVICE_TIERS):
        table = rates if service_tier is None else rates.get(service_tier, {})
        found |= _fields_of(table, "", service_tier)
        for mark, inner in table.get("above", {}).items():
            found |= _fields_of(inner, _mark_suffix(int(mark)), service_tier)
    for name in NAMED_PRICES:
        if rates.get(name):
            found[name] = {key: price_dollars(picos) for key, picos in rates[name].items()}
    return found


def _table(rates: dict[str, Any], found: PriceField) -> dict[str, Any]:
    """The innermost object of `rates` that the field belongs to, made if it is not there."""
    table = rates.setdefault(found.service_tier, {}) if found.service_tier else rates
    if found.mark is None:
        return table
    inner: dict[str, Any] = table.setdefault("above", {}).setdefault(str(found.mark), {})
    return inner


def _fields_of(
    table: Mapping[str, Any], suffix: str, service_tier: str | None
) -> dict[str, Decimal]:
    end = f"{suffix}_{service_tier}" if service_tier else suffix
    return {
        f"{FIELD_OF[kind]}{end}": price_dollars(table[kind]) for kind in table if kind in FIELD_OF
    }


def _mark_suffix(mark: int) -> str:
    return f"_above_{mark}_tokens" if mark % 1_000 else f"_above_{mark // 1_000}k_tokens"


def _named_rates(name: str, value: object) -> dict[str, Picos]:
    if not isinstance(value, Mapping):
        raise BadAmount("must be an object of prices", name)
    return {str(key): _rate(name, price, f"{name}.{key}") for key, price in value.items()}


def _rate(kind: str, value: object, name: str) -> Picos:
    try:
        picos = parse_price(value)
    except BadAmount as error:
        raise BadAmount(str(error), name) from None
    return checked_rate(kind, picos, name)
