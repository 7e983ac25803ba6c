"""Amounts: nano-dollars as text for people to read; the exact value stands beside it.

    sum_text(nanos)   -> "$1,234.56", "<$0.01"      totals, limits, whatever stands in a column
    fine_text(nanos)  -> "$0.004330", "$0.10"       single calls: four digits below one dollar
    tile_text(nanos)  -> "$18,240", "$412.33"       tiles and axes: no cents from $1,000 on
    count_text(n)     -> "88,214", "1.21 M"         calls and tokens
    exact_text(nanos) -> "$5,000.00", "$0.000000001"  what somebody has set, to the nano-dollar

Nothing is computed from these texts.
"""

from spend.money import NANO_DIGITS, NANOS_PER_DOLLAR, dollars_text

NANOS_PER_CENT = NANOS_PER_DOLLAR // 100
TILE_WHOLE_FROM = 1_000 * NANOS_PER_DOLLAR
MILLION = 1_000_000
DIGITS_SHOWN = 4
MINUS = "\u2212"


def sum_text(nanos: int) -> str:
    """To the cent, half a cent upward; an amount that is not nothing never reads as nothing."""
    if 0 < abs(nanos) < NANOS_PER_CENT // 2:
        return "<$0.01" if nanos > 0 else f">{MINUS}$0.01"
    cents = (abs(nanos) + NANOS_PER_CENT // 2) // NANOS_PER_CENT
    return _signed(nanos, f"{cents // 100:,}.{cents % 100:02d}")


def floor_to_cent(nanos: int | None) -> int | None:
    """What is left, so that nobody is promised a cent that is not there."""
    return None if nanos is None else nanos // NANOS_PER_CENT * NANOS_PER_CENT


def fine_text(nanos: int) -> str:
    """Below one dollar to four digits, whole cents as such; from one dollar on to the cent."""
    amount = abs(nanos)
    if amount >= NANOS_PER_DOLLAR or amount % NANOS_PER_CENT == 0:
        return sum_text(nanos)
    zeros = NANO_DIGITS - len(str(amount))  # behind the point, before the first digit
    decimals = min(zeros + DIGITS_SHOWN, NANO_DIGITS)
    unit = 10 ** (NANO_DIGITS - decimals)
    rounded = (amount + unit // 2) // unit * unit
    if rounded == NANOS_PER_DOLLAR:
        return _signed(nanos, "1.00")
    return _signed(nanos, dollars_text(rounded, decimals_min=decimals))


def exact_text(nanos: int) -> str:
    """All decimals there are, two at least."""
    whole, decimals = dollars_text(abs(nanos), decimals_min=2).split(".")
    return _signed(nanos, f"{int(whole):,}.{decimals}")


def tile_text(nanos: int) -> str:
    """From $1,000 on to the dollar, half a dollar upward."""
    if abs(nanos) < TILE_WHOLE_FROM:
        return sum_text(nanos)
    whole = (abs(nanos) + NANOS_PER_DOLLAR // 2) // NANOS_PER_DOLLAR
    return _signed(nanos, f"{whole:,}")


def count_text(number: int) -> str:
    """From a million on hundredths of a million, rounded down."""
    if abs(number) < MILLION:
        return f"{number:,}".replace("-", MINUS)
    hundredths = abs(number) * 100 // MILLION
    sign = MINUS if number < 0 else ""
    return f"{sign}{hundredths // 100:,}.{hundredths % 100:02d} M"


def _signed(nanos: int, digits: str) -> str:
    return f"{MINUS}${digits}" if nanos < 0 else f"${digits}"
