"""Links from one page of the admin to another."""

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def linked(page: str, key: object, text: object = None) -> SafeString | str:
    """To the page of a row, such as `spend_price`; plain text when that kind of row has none."""
    shown = str(key) if text is None else str(text)
    try:
        address = reverse(f"admin:{page}_change", args=[key])
    except NoReverseMatch:
        return shown
    return format_html('<a href="{}">{}</a>', address, shown)


def linked_row(row: Model) -> SafeString | str:
    """`tag engineering`, leading to its page."""
    text = f"{row._meta.verbose_name} {row}"
    return linked(f"{row._meta.app_label}_{row._meta.model_name}", row.pk, text)
