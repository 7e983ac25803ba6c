"""Image prices: by which of its prices a made image is billed, told its size and quality."""

from collections.abc import Mapping
from typing import Any

from spend.pricing import Tariff

# What OpenAI makes of a size and a quality that are left out.
USUAL_SIZE, USUAL_QUALITY = "1024x1024", "standard"


def counts_tokens(tariff: Tariff) -> bool:
    return tariff.rate("image_output") is not None


def counts_images(tariff: Tariff) -> bool:
    return tariff.rate("images") is not None or bool(tariff.card.image_prices)


def told_name(told: Mapping[str, Any]) -> str:
    """`1024x1024/high`; only what is told of it, and nothing for nothing."""
    parts = (told.get("size"), told.get("quality"))
    return "/".join(part for part in parts if isinstance(part, str) and part != "auto")


def priced_name(asked: Mapping[str, Any], answered: Mapping[str, Any], tariff: Tariff) -> str:
    """The name in the tariff that fits best; what the answer tells wins over what was asked for."""
    told = {
        name: value
        for source in (asked, answered)
        for name in ("size", "quality")
        if isinstance(value := source.get(name), str) and value != "auto"
    }
    usual = {"size": USUAL_SIZE, "quality": USUAL_QUALITY, **told}
    names = (told_name(told), told_name(usual), usual["size"])
    priced = tariff.card.image_prices
    for name in names:
        if name in priced:
            return name
    return names[0] if tariff.rate("images") is not None else dearest_name(tariff)


def dearest_name(tariff: Tariff) -> str:
    """Of the dearest image; without a name if that is one of any other size."""
    prices = dict(tariff.card.image_prices)
    if (others := tariff.rate("images")) is not None:
        prices.setdefault("", others)
    return max(prices, key=lambda name: prices[name])
