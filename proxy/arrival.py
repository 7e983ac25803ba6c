"""Arrival: DRF's request as the gateway hands it to a view, its body already here."""

from collections.abc import Callable, Mapping
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from rest_framework.request import Request

from proxy.call import parse_body
from proxy.client_address import client_address
from proxy.form import Form
from proxy.key_cards import KeyCard

if TYPE_CHECKING:
    from proxy.worker import Worker


class Arrival(Request):
    """DRF's request, made of what is here; Django's is made when somebody asks for it.

    `path` is what the path itself says, `has_left()` whether the client is still there."""

    def __init__(
        self,
        scope: Mapping[str, Any],
        raw: bytes,
        *,
        headers_by_name: Mapping[str, str],
        caller: KeyCard,
        call_id: UUID,
        worker: "Worker",
        path: Mapping[str, str],
        has_left: Callable[[], bool],
        form: Form | None = None,
    ) -> None:
        # Not DRF's own: it would make Django's request, which no call needs, and find parsers.
        self._scope = scope
        self.raw = raw
        self.headers_by_name = headers_by_name
        self._user = self._auth = cast(Any, caller)
        self.caller = caller
        self.call_id = call_id
        self.worker = worker
        self.path_says = path
        self.has_left = has_left
        self.form = form

    @property
    def method(self) -> str:  # type: ignore[override]
        method: str = self._scope["method"]
        return method

    @cached_property
    def _request(self) -> ASGIRequest:  # type: ignore[override]
        """Django's request, for whoever asks for more than is here."""
        return ASGIRequest(dict(self._scope), BytesIO(self.raw))

    @cached_property
    def data(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The body as an object, parsed once. Raises Failure `invalid_json`."""
        return parse_body(self.raw) if self.form is None else self.form.body

    @property
    def address(self) -> str | None:
        return address_in(self._scope, self.headers_by_name)


def address_in(scope: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """The client's."""
    client = scope.get("client")
    return client_address(client[0] if client else None, headers)
