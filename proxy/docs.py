"""Docs: the OpenAPI document of all paths, and two pages that show it; assets come from here.

Open to anyone with API_DOCS=public, which is what `up` sets; otherwise to staff who are signed in,
and to the master key.
"""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from proxy.credentials import refusal_of_missing
from proxy.errors import Failure
from proxy.permissions import Caller, KeyAuthentication


class MayReadDocs(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        reader: Any = request.user
        if settings.API_DOCS == "public":
            return True
        if reader is None:
            raise refusal_of_missing()
        if not (reader.is_master if isinstance(reader, Caller) else reader.is_staff):
            raise Failure(403, "permission_denied", "The documents are for administrators.")
        return True


READERS: dict[str, Any] = {
    "authentication_classes": [KeyAuthentication, SessionAuthentication],
    "permission_classes": [MayReadDocs],
}

document = SpectacularJSONAPIView.as_view(**READERS)
swagger = SpectacularSwaggerSplitView.as_view(url_name="openapi", **READERS)
redoc = SpectacularRedocView.as_view(url_name="openapi", **READERS)


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document says that a key is needed."""

    target_class = "proxy.permissions.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The master key, or a virtual key where it may read its own things.",
        }
