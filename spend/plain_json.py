"""Plain JSON: what is told of money and times as JSON can say it, in the forms of the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Here alone an amount of dollars becomes a float, which holds every nano-dollar."""
    match value:
        case Mapping():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case Decimal():
            return float(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
        case None | bool() | int() | str():
            return value
    return str(value)
