"""Forms in templates: a field's control, told what describes it and whether it is right."""

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

from spend.budget_form import KIND_HELP

register = template.Library()


@register.simple_tag
def described(field: BoundField) -> SafeString:
    """The control, described by its error and its help, which stand beside it."""
    attrs = {"aria-describedby": f"{field.auto_id}-help"}
    if field.errors:
        attrs = {
            "aria-describedby": f"{field.auto_id}-error {field.auto_id}-help",
            "aria-invalid": "true",
        }
    return field.as_widget(attrs=attrs)


@register.filter
def kind_help(kind: str) -> str:
    """What a kind of budget means, in a few words."""
    return KIND_HELP.get(kind, "")
