"""Money: integer nano-dollars, prices in pico-dollars; dollars in and out; the one rounding.

Here alone are dollars turned into integers and back. Nothing in this file is a float, and nothing
is divided but by whole numbers.
"""

import re
from decimal import Decimal
from typing import NewType

Nanos = NewType("Nanos", int)  # 10^-9 US dollars: what is held, spent and limited
Picos = NewType("Picos", int)  # 10^-12 US dollars: what a unit costs

NANOS_PER_DOLLAR = 1_000_000_000
PICOS_PER_NANO = 1_000
PICOS_PER_DOLLAR = NANOS_PER_DOLLAR * PICOS_PER_NANO

# Below 8,388,608 dollars a 64-bit float, which is what JSON clients read, keeps every nano-dollar.
DOLLARS_MAX = 8_000_000
NANO_DIGITS = 9
PICO_DIGITS = 12

_DOLLARS_TEXT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{0,30})?")


class BadAmount(ValueError):
    """Not an amount that can be kept.

    The text is for the client. It begins with the field's name where that is known here (then
    `field` holds it too), and follows it otherwise: "must be a number".
    """

    def __init__(self, says: str, field: str | None = None) -> None:
        super().__init__(f"{field} {says}" if field else says)
        self.field = field


def parse_dollars(value: object) -> Nanos:
    """Exact nano-dollars of a JSON number that was read as int or Decimal, never as float."""
    coefficient, exponent = _decimal_parts(value)
    whole, lost = _shift(coefficient, exponent + NANO_DIGITS)
    if lost:
        raise BadAmount(f"must have at most {NANO_DIGITS} decimals")
    return Nanos(whole)


def parse_dollars_text(text: str) -> Nanos:
    """Exact nano-dollars of what a person typed: "500", "0.25"; no signs of currency, no commas."""
    if not _DOLLARS_TEXT.fullmatch(text.strip()):
        raise BadAmount("must be a number of US dollars such as 500 or 0.25")
    return parse_dollars(Decimal(text.strip()))


def parse_price(value: object) -> Picos:
    """Pico-dollars of a price per unit in dollars; what is finer than that is rounded up."""
    coefficient, exponent = _decimal_parts(value)
    whole, lost = _shift(coefficient, exponent + PICO_DIGITS)
    return Picos(whole + 1 if lost else whole)


def to_dollars(nanos: int) -> Decimal:
    """The same amount in dollars, exact whatever the decimal context."""
    return Decimal(f"{nanos}E-{NANO_DIGITS}")


def price_dollars(picos: int) -> Decimal:
    """The same price in dollars per unit, exact whatever the decimal context."""
    return Decimal(f"{picos}E-{PICO_DIGITS}")


def dollars_text(nanos: int, *, decimals_min: int = 1) -> str:
    """Exact dollars without exponent; zeros at the end only as far as `decimals_min` asks."""
    return _fixed_text(nanos, digits=NANO_DIGITS, decimals_min=decimals_min)


def price_text(picos: int, *, decimals_min: int = 1) -> str:
    """Exact dollars per unit, written like `dollars_text`."""
    return _fixed_text(picos, digits=PICO_DIGITS, decimals_min=decimals_min)


def round_up(picos: int) -> Nanos:
    """The one rounding: a sum of pico-dollars to the next whole nano-dollar, upward."""
    return Nanos(-(-picos // PICOS_PER_NANO))


def _decimal_parts(value: object) -> tuple[str, int]:
    """Digits and exponent of a number within 0 .. DOLLARS_MAX, or BadAmount."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadAmount("must be a number")
    if isinstance(value, Decimal) and not value.is_finite():
        raise BadAmount("must be a finite number")
    if not 0 <= value <= DOLLARS_MAX:  # before any digit is written out: 1e999999999 is cheap here
        raise BadAmount(f"must be between 0 and {DOLLARS_MAX} dollars")
    if isinstance(value, int):
        return str(value), 0
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # text only for NaN and infinity
    return "".join(map(str, digits)), exponent


def _shift(digits: str, places: int) -> tuple[int, bool]:
    """digits x 10^places, cut to a whole number, and whether anything but zeros was cut off."""
    if places >= 0:
        return (int(digits) * 10**places if digits.strip("0") else 0), False
    kept, cut = digits[:places], digits[places:]
    return int(kept or "0"), bool(cut.strip("0"))


def _fixed_text(amount: int, *, digits: int, decimals_min: int) -> str:
    whole, rest = divmod(abs(amount), 10**digits)
    decimals = f"{rest:0{digits}d}".rstrip("0") if rest else ""
    if len(decimals) < decimals_min:
        decimals = decimals.ljust(decimals_min, "0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
