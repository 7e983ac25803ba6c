"""Addresses of the pages about keys, models and prices."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
