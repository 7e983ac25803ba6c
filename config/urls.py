"""Django's surface on one screen; gateway paths never get here (config/asgi.py)."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("tags.urls")),
    path("", include("proxy.urls")),
]
