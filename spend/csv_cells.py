"""CSV cells: what other people wrote must not be run by whoever opens the file in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from typing import Any

STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(value: Any) -> str:
    """The cell's text; a text that a spreadsheet would take for a formula gets a leading quote."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(STARTS_FORMULA) else text


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    """Lines by RFC 4180."""
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
