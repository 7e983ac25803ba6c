"""Forms in templates: a field's control, told what describes it and whether it is right."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

from spend.budget_form import KIND_HELP

register = template.Library()


@register.simple_tag(takes_context=True)
def described(context: Mapping[str, Any], field: BoundField) -> SafeString:
    """The control, described by its error and its help, which stand beside it.

    The first one that is wrong, as `error_list` has it, gets the focus.
    """
    attrs: dict[str, Any] = {"aria-describedby": f"{field.auto_id}-help"}
    if field.errors:
        attrs = {
            "aria-describedby": f"{field.auto_id}-error {field.auto_id}-help",
            "aria-invalid": "true",
        }
        errors = context.get("error_list")
        attrs["autofocus"] = bool(errors and errors[0][0] == field.id_for_label)
    return field.as_widget(attrs=attrs)


@register.filter
def kind_help(kind: str) -> str:
    """What a kind of budget means, in a few words."""
    return KIND_HELP.get(kind, "")
