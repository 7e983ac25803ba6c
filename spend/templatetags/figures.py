"""Figures on pages: counts, percentages, status; the same words and icons everywhere."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from spend.admin.house import shown_status
from spend.amounts import MINUS, count_text
from spend.models import CallStatus
from spend.status import Status, used_text

register = template.Library()

CALL_LOOKS = {
    "success": ("\u2713", "ok"),
    "failure": ("\u00d7", "bad"),
    "refused": ("\u00d7", "bad"),
    "estimated": ("~", "warn"),
    "correction": ("\u00b1", "quiet"),
}


@register.filter
def count(number: int | None) -> SafeString | str:
    """`88,214`, from a million `1.21 M`; the exact number in `<data>`; nothing for None."""
    if number is None:
        return ""
    return format_html('<data value="{}">{}</data>', number, count_text(number))


@register.filter
def used(spent: int, limit: int | None) -> str:
    """`84%`, `<1%`: of the limit, rounded down; empty without one."""
    return used_text(limit, spent)


@register.filter
def change(percent: int | None) -> str:
    """`+12%`, with a true minus; empty for None."""
    if percent is None:
        return ""
    sign = "+" if percent > 0 else MINUS if percent < 0 else ""
    return f"{sign}{abs(percent)}%"


@register.filter
def status(value: Status | None) -> SafeString | str:
    """Icon and word: colour is never alone."""
    return "" if value is None else shown_status(value)


@register.filter
def call_status(value: str) -> SafeString:
    """How a call ended: icon and word."""
    icon, tone = CALL_LOOKS[value]
    word = CallStatus(value).label
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', tone, icon, word
    )
