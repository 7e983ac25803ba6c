"""Meters: what a call used and what that cost, by the meters that a bill has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from spend.cost_breakdown import UNEXPLAINED, break_down
from spend.money import PICOS_PER_NANO
from spend.pricing import Tariff
from spend.usage import Usage


class Meter(NamedTuple):
    """`unit` is in the plural; quantities of seconds are in thousandths."""

    name: str
    unit: str


TOKENS, SECONDS = "Tokens", "Seconds"
REQUESTS = Meter("request", "Requests")
METER_OF = {
    "input": Meter("input", TOKENS),
    "cached_input": Meter("cached input", TOKENS),
    "cache_write": Meter("cache write", TOKENS),
    "cache_write_1h": Meter("cache write", TOKENS),
    "output": Meter("output", TOKENS),
    "reasoning": Meter("reasoning", TOKENS),
    "audio_input": Meter("audio", TOKENS),
    "audio_output": Meter("audio", TOKENS),
    "image_output": Meter("image", TOKENS),
    "images": Meter("image", "Images"),
    "input_images": Meter("image", "Images"),
    "input_seconds": Meter("second", SECONDS),
    "output_seconds": Meter("second", SECONDS),
    "characters": Meter("character", "Characters"),
    "searches": Meter("request", "Searches"),
    "tools": Meter("request", "Tool Calls"),
    "requests": REQUESTS,
} | dict.fromkeys(UNEXPLAINED, REQUESTS)
METERS = tuple(dict.fromkeys(METER_OF.values()))  # in the order of a bill
FIELD_OF = {"input_seconds": "input_ms", "output_seconds": "output_ms"}


@dataclass(slots=True)
class Amount:
    quantity: int = 0
    picos: int = 0


def meter_call(
    cost: int, usage: Mapping[str, object], tariff: Tariff | None
) -> dict[Meter, Amount]:
    """What a call comes to on each meter; together exactly its cost.

    What rounding up added goes to the dearest kind; what no usage explains is one request.
    """
    parts = dict(break_down(cost, usage, tariff).parts)
    if parts:
        dearest = max(parts, key=lambda kind: parts[kind])
        parts[dearest] += cost * PICOS_PER_NANO - sum(parts.values())
    found: dict[Meter, Amount] = {}
    for kind, quantity in _quantities(Usage.from_json(usage), parts):
        amount = found.setdefault(METER_OF[kind], Amount())
        amount.quantity += quantity
        amount.picos += parts.get(kind, 0)
    return found


def _quantities(usage: Usage, parts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for kind in METER_OF:
        if kind in UNEXPLAINED:
            quantity = 1 if kind in parts else 0
        elif kind == "requests":
            quantity = max(1, usage.requests) if kind in parts else 0
        else:
            used = getattr(usage, FIELD_OF.get(kind, kind))
            quantity = sum(count for _, count in used) if isinstance(used, tuple) else used
        if quantity:
            yield kind, quantity


def share_out(amounts: Mapping[Meter, Amount], cost: int) -> dict[Meter, int]:
    """A cost in whole nano-dollars by meter: what is cut off goes to the largest remainders."""
    shares = {meter: amount.picos // PICOS_PER_NANO for meter, amount in amounts.items()}
    rest = cost - sum(shares.values())
    nearest = sorted(shares, key=lambda m: amounts[m].picos % PICOS_PER_NANO, reverse=True)
    for meter in nearest[:rest]:
        shares[meter] += 1
    return shares
