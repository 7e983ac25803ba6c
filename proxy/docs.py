"""Docs: the OpenAPI document of all paths, and two pages that show it; assets come from here.

Open to anyone with API_DOCS=public, which is what `up` sets; otherwise to staff who are signed in,
and to the master key.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from proxy.credentials import digest_of, presented_key, refusal_of_missing
from proxy.errors import Failure
from proxy.permissions import find_caller
from proxy.wire import write_json

View = Callable[..., HttpResponseBase]


def for_readers(view: View) -> View:
    """The view for those who may read the documents; others get JSON that says why not."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponseBase:
        try:
            refuse_unless_reader(request)
        except Failure as failure:
            body = write_json({**failure.body(), "detail": failure.message})
            return HttpResponse(
                body,
                status=failure.status,
                headers=dict(failure.headers),
                content_type="application/json",
            )
        return view(request)

    return require_safe(answer)


def refuse_unless_reader(request: HttpRequest) -> None:
    """Raises Failure. A key that is presented counts, and not who is signed in beside it."""
    if settings.API_DOCS == "public":
        return
    presented = presented_key(request.headers)
    if presented is not None:
        may_read = find_caller(digest_of(presented)).is_master
    elif request.user.is_authenticated:
        may_read = request.user.is_staff
    else:
        raise refusal_of_missing()
    if not may_read:
        raise Failure(403, "permission_denied", "The documents are for administrators.")


document = for_readers(SpectacularJSONAPIView.as_view(authentication_classes=[]))
swagger = for_readers(
    SpectacularSwaggerSplitView.as_view(authentication_classes=[], url_name="openapi")
)


# It has its styles, and a worker for its search, in its script.
@csp_update({"style-src": [UNSAFE_INLINE], "worker-src": ["blob:"]})
def redoc(request: HttpRequest) -> HttpResponseBase:
    return _redoc(request)


_redoc = for_readers(
    SpectacularRedocView.as_view(
        authentication_classes=[], url_name="openapi", template_name="proxy/redoc.html"
    )
)


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
