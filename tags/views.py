"""ManagementView: what every management path has in common."""

from typing import Any, TypeVar

from django.http import HttpRequest
from django.urls import URLPattern, path
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

Asked = TypeVar("Asked", bound=Serializer)


class ManagementView(APIView):
    """Parse, one verb, answer. Who may call is settled by DRF's defaults in the settings."""

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        # DRF takes a body without a Content-Length, which is how chunks come, for an empty one.
        if "chunked" in request.headers.get("transfer-encoding", ""):
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return super().initialize_request(request, *args, **kwargs)

    @property
    def caller(self) -> Any:
        """Whoever the authentication found."""
        return self.request.user

    @property
    def actor(self) -> str:
        """Who did it, for the audit."""
        return self.caller.name

    def named(self, field: str) -> str:
        """What the body names, before the rest is judged by it. Raises ValidationError."""
        value = self.request.data.get(field)
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise ValidationError({field: "must be a string that names one"})
        return value.strip()

    def read(self, serializer: type[Asked], **options: Any) -> Asked:
        """The body, valid. Raises ValidationError naming the field."""
        asked = serializer(data=self.request.data, **options)
        asked.is_valid(raise_exception=True)
        return asked

    def read_query(self, serializer: type[Asked]) -> Any:
        """The query string's values, valid."""
        asked = serializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        return asked.validated_data


def paths(route: str, view: type[APIView], name: str | None = None) -> list[URLPattern]:
    """The path with and without a trailing slash; the documents show it without."""
    return [
        path(route, view.as_view(), name=name),
        path(f"{route}/", view.as_view(schema=None)),
    ]
