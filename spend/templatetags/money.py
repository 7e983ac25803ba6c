"""Money on pages: rounded text for the eye, the exact amount in `<data>`."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from spend.amounts import exact_text, fine_text, floor_to_cent, sum_text, tile_text
from spend.money import NANOS_PER_DOLLAR, PICOS_PER_DOLLAR, dollars_text, price_text

register = template.Library()

TOKENS_SHOWN = 1_000_000


@register.filter
def dollars(nanos: int | None) -> SafeString | str:
    """Nano-dollars to the cent: `<data value="0.25">$0.25</data>`; nothing for None."""
    return "" if nanos is None else _data(dollars_text(nanos), sum_text(nanos))


@register.filter
def dollars_within(nanos: int | None, limit: int | None) -> SafeString | str:
    """To the cent; within a limit of less than a dollar, to four digits, so that it can be read."""
    is_small = limit is not None and 0 < limit < NANOS_PER_DOLLAR
    return fine_dollars(nanos) if is_small else dollars(nanos)


@register.filter
def fine_dollars(nanos: int | None) -> SafeString | str:
    """Nano-dollars of a single call: four digits below one dollar."""
    return "" if nanos is None else _data(dollars_text(nanos), fine_text(nanos))


@register.filter
def exact_dollars(nanos: int | None) -> SafeString | str:
    """Nano-dollars with all decimals there are, two at least."""
    return "" if nanos is None else _data(dollars_text(nanos), exact_text(nanos))


@register.filter
def tile_dollars(nanos: int | None) -> SafeString | str:
    """Nano-dollars of a tile: from $1,000 on without cents."""
    return "" if nanos is None else _data(dollars_text(nanos), tile_text(nanos))


@register.filter
def tile_left(nanos: int | None, limit: int | None) -> SafeString | str:
    """What is left: downward to the cent, or, of less than a dollar, to four digits."""
    if limit is not None and 0 < limit < NANOS_PER_DOLLAR:
        return fine_dollars(nanos)
    return tile_dollars(floor_to_cent(nanos))


@register.filter
def dollars_plain(nanos: int | None) -> str:
    """For where no markup can stand: titles, labels."""
    return "" if nanos is None else sum_text(nanos)


@register.filter
def per_million(picos: int | str | None) -> SafeString | str:
    """Pico-dollars per token as dollars per million tokens, exact; nothing where there are none."""
    return "" if not isinstance(picos, int) else _data(price_text(picos), per_million_text(picos))


def per_million_text(picos: int) -> str:
    return unit_text(picos * TOKENS_SHOWN)


def unit_text(picos: int) -> str:
    """Pico-dollars as exact dollars, with two decimals at least."""
    whole, rest = divmod(picos, PICOS_PER_DOLLAR)
    return f"${whole:,}{price_text(rest, decimals_min=2)[1:]}"


def _data(exact: str, shown: str) -> SafeString:
    return format_html('<data value="{}">{}</data>', exact, shown)
