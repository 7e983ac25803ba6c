"""Moments on pages: a time that people read at a glance, the exact one in `<time>`."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

FULL = "{at.day} {at:%b %Y, %H:%M:%S}"


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """`14:02:31` today, `22 Nov, 14:02` this year, else with the year; nothing for None."""
    return "" if at is None else _time(at, short_text(at, timezone.now()))


@register.filter
def full_moment(at: datetime | None) -> SafeString | str:
    """`22 Nov 2026, 14:02:31`."""
    return "" if at is None else _time(at, FULL.format(at=timezone.localtime(at)))


@register.filter
def fine_moment(at: datetime | None) -> SafeString | str:
    """`22 Nov 2026, 14:02:31.117`, for single calls."""
    if at is None:
        return ""
    shown = FULL.format(at=timezone.localtime(at))
    return _time(at, f"{shown}.{at.microsecond // 1000:03d}")


@register.filter
def due(at: datetime | None) -> SafeString | str:
    """When a window resets: `1 Dec`, as most do at a midnight, else `1 Dec, 14:02`."""
    if at is None:
        return ""
    return _time(at, short_text(at, timezone.now()).removesuffix(", 00:00"))


def short_text(at: datetime, now: datetime) -> str:
    """Both as a clock in the current zone shows them."""
    local, today = timezone.localtime(at), timezone.localtime(now)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if local.year == today.year:
        return f"{local.day} {local:%b, %H:%M}"
    return f"{local.day} {local:%b %Y, %H:%M}"


def _time(at: datetime, shown: str) -> SafeString:
    full = FULL.format(at=timezone.localtime(at))
    return format_html(
        '<time datetime="{}" title="{} {}">{}</time>',
        at.isoformat(),
        full,
        timezone.get_current_timezone_name(),
        shown,
    )
