"""Django's surface on one screen; gateway paths never get here (config/asgi.py).

Pages take sessions and ignore keys; API paths take keys and ignore sessions. They never meet.
"""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("tags.pages.urls")),
    path("", include("proxy.pages.urls")),
    path("", include("tags.urls")),
    path("", include("proxy.urls")),
]

handler404 = "proxy.api.errors.answer_missing"
handler500 = "proxy.api.errors.answer_broken"
