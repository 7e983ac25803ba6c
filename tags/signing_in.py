"""Signing in: from where it is tried, and what is said to who has tried too often."""

from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

TOO_OFTEN = "Too many wrong passwords. Try again in {minutes} minutes."
STATUS = 429


def address_of(request: HttpRequest) -> str | None:
    """A forwarded address is believed from trusted proxies, and of those it tells the last one."""
    peer = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded and peer in settings.TRUSTED_PROXIES:
        peer = forwarded.split(",")[-1].strip()
    try:
        return str(ip_address(peer))
    except ValueError:  # of a unix socket, or nonsense
        return None


def turn_away(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Whether the password was right this time is not told."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    context = {
        **admin.site.each_context(request),
        "title": "Log in",
        "app_path": request.get_full_path(),
        "too_often": TOO_OFTEN.format(minutes=minutes),
        "next": reverse("admin:index"),
    }
    answer = TemplateResponse(request, "admin/too_often.html", context, status=STATUS)
    answer["Retry-After"] = str(minutes * 60)
    return answer.render()
