"""Site: the one row of links, and what leads from page to page with the address kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

register = template.Library()

ANYBODY: tuple[str, ...] = ()
# Name of the address, words, who sees it. Those apart stand at the end of the row.
LINKS = (
    ("overview", "Overview", ANYBODY),
    ("tags", "Tags", ANYBODY),
    ("keys", "Keys", ("proxy.view_apikey",)),
    ("prices", "Prices", ("spend.view_price",)),
    ("logs", "Logs", ANYBODY),
    ("reports", "Reports", ("spend.view_rollup",)),
    ("try", "Try it", ("proxy.view_apikey",)),
)
APART = (("docs", "API docs", ANYBODY), ("admin:index", "Admin", ANYBODY))


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    address: str
    is_here: bool
    is_apart: bool = False


@register.inclusion_tag("tags/_navigation.html", takes_context=True)
def navigation(context: Mapping[str, Any]) -> dict[str, Any]:
    """What the user may see, the present page marked."""
    request: HttpRequest = context["request"]
    links = [_link(request, *link) for link in LINKS]
    links += [_link(request, *link, is_apart=True) for link in APART]
    shown = [link for link in links if link is not None]
    here = next((link.text for link in shown if link.is_here), "")
    return {"links": shown, "here": here}


ABOUT = {
    "overview": "spend, forecast, what needs you",
    "tags": "budgets of tags: create, raise, block",
    "keys": "who may call, with what",
    "prices": "what is on offer, and its price",
    "logs": "single calls, and why they cost what they did",
    "reports": "any two dimensions; CSV and FOCUS",
    "try": "a call, checked or real",
    "books": "are they right?",
}


@register.inclusion_tag("tags/_page_links.html", takes_context=True)
def page_links(context: Mapping[str, Any]) -> dict[str, Any]:
    """Our pages as the admin's front page offers them."""
    request: HttpRequest = context["request"]
    listed = (*LINKS, ("books", "Books", ("spend.view_jobrun",)))
    links = [(_link(request, *link), ABOUT[link[0]]) for link in listed]
    return {
        "links": [
            {"text": link.text, "address": link.address, "about": about}
            for link, about in links
            if link is not None
        ]
    }


@register.simple_tag(takes_context=True)
def here(context: Mapping[str, Any], **changes: Any) -> str:
    """The present query with these changes; what becomes empty is left out, and so are cursors."""
    query = context["request"].GET.copy()
    for name in ("before", "after"):
        query.pop(name, None)
    for name in [name for name, values in query.lists() if not any(values)]:
        query.pop(name)
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = value
    return f"?{query.urlencode()}"


def _link(
    request: HttpRequest, name: str, text: str, seen_by: tuple[str, ...], *, is_apart: bool = False
) -> Link | None:
    if seen_by and not any(request.user.has_perm(permission) for permission in seen_by):
        return None
    try:
        address = reverse(name)
    except NoReverseMatch:
        return None
    is_here = request.path == address if address == "/" else request.path.startswith(address)
    return Link(text, address, is_here, is_apart)
