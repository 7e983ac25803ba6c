"""Price lists: what others publish -> the prices that we would bill by, as plain values.

    genai_prices_list() -> PriceList     the library genai-prices (MIT licence), whose data is part
                                         of the package: nothing is fetched
    litellm_list(path) -> PriceList      a file in the form of LiteLLM's model_prices JSON

Only commands and jobs read lists; the list of the library is some megabytes that a web worker has
no use for.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
)

from spend.money import BadAmount, Picos, parse_price
from spend.price_fields import is_price_field, rates_from_wire
from spend.rates import SERVICE_TIERS, read_rates, write_rates

NAME_MAX = 255

# The wire's names of providers are LiteLLM's.
PROVIDER_NAMES = {
    "x-ai": "xai",
    "google": "gemini",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "aws": "bedrock",
    "text-completion-openai": "openai",
}

# The library's unit -> our kind, and how many of our units are in one of its own.
_MILLION, _THOUSAND, _HOUR = 10**6, 10**3, 3_600
_KINDS = {
    "input_mtok": ("input", _MILLION),
    "cache_read_mtok": ("cached_input", _MILLION),
    "cache_write_mtok": ("cache_write", _MILLION),
    "cache_write_1h_mtok": ("cache_write_1h", _MILLION),
    "input_audio_mtok": ("audio_input", _MILLION),
    "output_mtok": ("output", _MILLION),
    "output_reasoning_mtok": ("reasoning", _MILLION),
    "output_audio_mtok": ("audio_output", _MILLION),
    "output_image_mtok": ("image_output", _MILLION),
    "input_mchars": ("characters", _MILLION),
    "audio_hours": ("input_seconds", _HOUR),
    "input_audio_hours": ("input_seconds", _HOUR),
    "requests_kcount": ("requests", _THOUSAND),
}
_TOOLS = {"web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}

_DIGITS = re.compile(r"\\d\{(\d)\}")
_PLAIN_REGEX = re.compile(r"\^((?:[a-z0-9/@:_-]|\\\.|\\d\{\d\}|\[-@\])+)\$")


class BadPriceList(ValueError):
    """Not a price list. The text is for whoever named the file."""


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What a model costs from `starts_at` on; None: since ever.

    `model` is in lower case, and a pattern as of a shell when it holds one of * ? [.
    """

    provider: str
    model: str
    starts_at: datetime | None
    rates: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PriceList:
    """`name` says whose list it is, `source` which edition of it."""

    name: str
    source: str
    prices: tuple[ListedPrice, ...]
    skipped: int = 0


def genai_prices_list(now: datetime) -> PriceList:
    """Each model under its id, its other names and its patterns; now and from each date to come.

    Prices by the time of day are left out, which leaves the price of all other hours. So are units
    that a call here has no count of.
    """
    prices: dict[tuple[str, str, datetime | None], ListedPrice] = {}
    skipped: set[tuple[str, str]] = set()
    for provider in get_snapshot().providers:
        name = PROVIDER_NAMES.get(provider.id, provider.id)
        for models in (_other_names(provider.models), _own_names(provider.models)):
            for model_name, model in models:
                schedule = list(_schedule(model, now))
                if not schedule:
                    skipped.add((name, model.id))
                for starts_at, rates in schedule:
                    listed = ListedPrice(name, model_name, starts_at, rates)
                    prices.setdefault((name, model_name, starts_at), listed)
    source = f"genai-prices {version('genai-prices')}"
    return PriceList("genai-prices", source, tuple(prices.values()), len(skipped))


def litellm_list(path: Path) -> PriceList:
    """Raises BadPriceList. Entries without a price that we bill by are skipped and counted."""
    try:
        entries = json.loads(path.read_bytes(), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise BadPriceList(f"{path.name} cannot be read as JSON") from error
    if not isinstance(entries, dict):
        raise BadPriceList(f"{path.name} must hold an object with one member per model")
    prices: dict[tuple[str, str], ListedPrice] = {}
    for key, entry in entries.items():
        if key != "sample_spec" and (listed := _litellm_entry(key, entry)):
            prices.setdefault((listed.provider, listed.model), listed)
    skipped = len(entries) - len(prices) - ("sample_spec" in entries)
    return PriceList("litellm", path.name, tuple(prices.values()), skipped)


# -- LiteLLM's file ------------------------------------------------------------------------------


def _litellm_entry(key: str, entry: object) -> ListedPrice | None:
    if not isinstance(entry, dict) or not 1 <= len(key) <= NAME_MAX:
        return None
    provider = str(entry.get("litellm_provider") or "")[:64]
    model = key.lower().removeprefix(f"{provider}/")
    known = {name: value for name, value in entry.items() if is_price_field(name)}
    try:
        rates = rates_from_wire(known)
    except BadAmount:
        return None
    if not rates:
        return None
    return ListedPrice(PROVIDER_NAMES.get(provider, provider), model, None, rates)


# -- genai-prices: names -------------------------------------------------------------------------


def _own_names(models: list[ModelInfo]) -> Iterator[tuple[str, ModelInfo]]:
    for model in models:
        yield _literal(model.id.lower()), model


def _other_names(models: list[ModelInfo]) -> Iterator[tuple[str, ModelInfo]]:
    for model in models:
        for pattern in _patterns(model.match):
            if 1 <= len(pattern) <= NAME_MAX:
                yield pattern, model


def _patterns(clause: object) -> Iterator[str]:
    """The names that a clause of the list matches; nothing for what no pattern can say."""
    match clause:
        case ClauseOr():
            for inner in clause.or_:
                yield from _patterns(inner)
        case ClauseEquals():
            yield _literal(clause.equals.lower())
        case ClauseStartsWith():
            yield _literal(clause.starts_with.lower()) + "*"
        case ClauseEndsWith():
            yield "*" + _literal(clause.ends_with.lower())
        case ClauseContains():
            yield "*" + _literal(clause.contains.lower()) + "*"
        case ClauseRegex():
            if found := _PLAIN_REGEX.fullmatch(clause.regex):
                digits = _DIGITS.sub(lambda count: "[0-9]" * int(count[1]), found[1])
                yield digits.replace("\\.", ".")


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


# -- genai-prices: rates -------------------------------------------------------------------------


def _schedule(model: ModelInfo, now: datetime) -> Iterator[tuple[datetime | None, dict[str, Any]]]:
    """The rates of now (None) and those of each date to come; nothing if there are none for now."""
    dates = [None, *_dates_after(model, now)]
    for starts_at in dates:
        rates = _rates_at(model, starts_at or now)
        if not rates:
            return
        yield starts_at, rates


def _dates_after(model: ModelInfo, now: datetime) -> list[datetime]:
    if isinstance(model.prices, ModelPrice):
        return []
    starts = (_start(price) for price in model.prices)
    return sorted({start for start in starts if start is not None and start > now})


def _start(price: ConditionalPrice) -> datetime | None:
    if not isinstance(price.constraint, StartDateConstraint):
        return None
    return datetime.combine(price.constraint.start_date, time(), UTC)


def _rates_at(model: ModelInfo, at: datetime) -> dict[str, Any]:
    rates = _rates(_price_at(model, at))
    for variant in model.price_variants or ():
        tier = variant.when.get("service_tier")
        if tier not in SERVICE_TIERS or len(variant.when) > 1:
            continue
        if variant.constraint is None or (
            isinstance(variant.constraint, StartDateConstraint) and variant.constraint.active(at)
        ):
            tier_rates = _rates(variant.prices)
            tier_rates.pop("tool_prices", None)
            rates[tier] = tier_rates | rates.get(tier, {})
    try:
        return write_rates(read_rates(rates))
    except BadAmount:
        return {}


def _price_at(model: ModelInfo, at: datetime) -> ModelPrice:
    """The last price that has begun; those by the time of day are no price of a whole day."""
    if isinstance(model.prices, ModelPrice):
        return model.prices
    for price in reversed(model.prices):
        start = _start(price)
        if price.constraint is None or (start is not None and start <= at):
            return price.prices
    return ModelPrice()


def _rates(price: ModelPrice) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for unit, value in vars(price).items():
        if value is None:
            continue
        base = value.base if isinstance(value, TieredPrices) else value
        if unit in _TOOLS:
            rates.setdefault("tool_prices", {})[_TOOLS[unit]] = _picos(base, _THOUSAND)
        elif unit in _KINDS:
            kind, units = _KINDS[unit]
            rates[kind] = _picos(base, units)
            for tier in value.tiers if isinstance(value, TieredPrices) else ():
                above = rates.setdefault("above", {}).setdefault(str(tier.start), {})
                above[kind] = _picos(tier.price, units)
    return rates


def _picos(dollars: Decimal, units: int) -> Picos:
    """Pico-dollars of one unit, given the dollars of so many; rounded up."""
    return Picos(-(-parse_price(dollars) // units))
