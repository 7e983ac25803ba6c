"""Windows on pages: what a window is called, how long it takes, when it ends by its own clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from spend.windows import open_zone

register = template.Library()

PERIOD_TEXTS = {
    "hourly": "an hour",
    "daily": "a day",
    "weekly": "a week",
    "monthly": "a month",
    "quarterly": "a quarter",
    "yearly": "a year",
}
UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


@register.filter
def window_name(starts_at: datetime, terms: Mapping[str, Any]) -> str:
    """`Oct` of months, `2026` of years, `12 Oct` of days, `12 Oct, 09:30` where days are cut."""
    local = starts_at.astimezone(open_zone(terms["time_zone"]))
    duration = terms["duration"]
    if duration is None:
        return f"since {local.day} {local:%b %Y}"
    if duration == "yearly" and local.month == local.day == 1:
        return f"{local:%Y}"
    if duration in ("monthly", "quarterly") and local.day == 1:
        return f"{local:%b %Y}" if local.month == 1 else f"{local:%b}"
    if (local.hour, local.minute) == (0, 0):
        return f"{local.day} {local:%b}"
    return f"{local.day} {local:%b, %H:%M}"


@register.filter
def length_text(length: timedelta) -> str:
    """`3 d 8 h`: the two largest units that are not nothing."""
    parts, left = [], length
    for unit, word in UNITS:
        count, left = left // unit, left % unit
        if count:
            parts.append(f"{count} {word}")
    return " ".join(parts[:2]) or "less than a minute"


@register.filter
def in_zone(at: datetime, zone: str) -> SafeString:
    """`1 Dec 2026, 00:00 CET`: by the clock of that zone, which may not be the page's."""
    local = at.astimezone(open_zone(zone))
    shown = f"{local.day} {local:%b %Y, %H:%M %Z}"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), shown)


@register.filter
def period_text(duration: str | None) -> str:
    """`a month`, `per 36h`, `in all`."""
    if duration is None:
        return "in all"
    return PERIOD_TEXTS.get(duration, f"per {duration}")
