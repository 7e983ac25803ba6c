"""Addresses of the pages about tags, spend and calls."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("tags.pages.tag_urls")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
