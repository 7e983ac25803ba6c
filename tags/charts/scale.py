"""Scale: where an axis ends, and where an amount stands on it."""

from spend.money import NANOS_PER_DOLLAR

WIDTH = HEIGHT = 100.0
STEPS = (1, 2, 2.5, 5, 10)


def axis_end(most: int) -> int:
    """The next 1, 2, 2.5 or 5 times a power of ten; of nothing, one cent."""
    unit = NANOS_PER_DOLLAR // 100
    if most <= 0:
        return unit
    power = 10 ** (len(str(most)) - 1)
    return next(int(step * power) for step in STEPS if step * power >= most)


def share(amount: float, whole: float) -> float:
    """Of 100, within bounds; of nothing, all."""
    if whole <= 0:
        return WIDTH
    return round(min(max(amount / whole, 0), 1) * WIDTH, 2)


def height_of(amount: int, end: int) -> float:
    """How far down from the top of the box an amount stands."""
    return round(HEIGHT - share(amount, end), 2)
