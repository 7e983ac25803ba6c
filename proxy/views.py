"""The gateway's views: DRF APIViews whose handlers are coroutines; parse, answer_call, answer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import APIView

from proxy.answers import JSON_HEADERS, Answer, id_headers
from proxy.call import parse_body, read_call
from proxy.catalogue import allows
from proxy.errors import Failure
from proxy.journey import answer_call
from proxy.key_cards import KeyCard
from proxy.relay import Outlet
from proxy.wire import write_json
from proxy.worker import Worker

Response = tuple[Answer, Outlet | None]


class GatewayParser(BaseParser):
    """The body, parsed once; its bounds are in proxy/gateway.py and proxy/call.py."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> Mapping[str, Any]:
        return parse_body(stream.read())


class GatewayView(APIView):
    """`respond` is what proxy/gateway.py awaits; there is one view object per path, for good."""

    authenticators: list[Any] = []
    parsers = [GatewayParser()]

    @property
    def heartbeat_seconds(self) -> int:
        return settings.STREAM_HEARTBEAT_SECONDS

    def model_in(self, request: Request) -> str | None:
        return None

    async def respond(
        self,
        request: Request,
        raw: bytes,
        headers: Mapping[str, str],
        call_id: UUID,
        worker: Worker,
        path: Mapping[str, str],
        has_left: Callable[[], bool],
    ) -> Response:
        raise NotImplementedError

    def check_method(self, request: Request, *methods: str) -> None:
        if request.method not in methods:
            text = f"Use {methods[0]} here."
            headers = {"Allow": ", ".join(methods)}
            raise Failure(405, "method_not_allowed", text, headers=headers)


@extend_schema(exclude=True)
class ChatCompletions(GatewayView):
    endpoint = "chat/completions"

    def model_in(self, request: Request) -> str | None:
        if request.method != "POST":
            return None
        body = request.data
        model = body.get("model") if isinstance(body, Mapping) else None
        return model if isinstance(model, str) else None

    async def respond(
        self,
        request: Request,
        raw: bytes,
        headers: Mapping[str, str],
        call_id: UUID,
        worker: Worker,
        path: Mapping[str, str],
        has_left: Callable[[], bool],
    ) -> Response:
        self.check_method(request, "POST")
        call = read_call(
            call_id=call_id,
            endpoint=self.endpoint,
            key=caller_of(request),
            raw=raw,
            body=cast(Mapping[str, Any], request.data),
            headers=headers,
            address=peer_address(request, headers),
            model_in_path=path.get("model"),
        )
        return await answer_call(call, worker, has_left)


@extend_schema(exclude=True)
class Models(GatewayView):
    """The models that the key may use, or one of them."""

    async def respond(
        self,
        request: Request,
        raw: bytes,
        headers: Mapping[str, str],
        call_id: UUID,
        worker: Worker,
        path: Mapping[str, str],
        has_left: Callable[[], bool],
    ) -> Response:
        self.check_method(request, "GET", "HEAD")
        key = caller_of(request)
        catalogue = await worker.directory.catalogue()
        wanted = path.get("model")
        found = [
            describe_model(name, cards)
            for name in ([wanted] if wanted else catalogue.names())
            if (cards := [c for c in catalogue.find(name) if allows(key.allowed_models, name, c)])
        ]
        if wanted and not found:
            text = f"The model '{wanted}' does not exist."
            raise Failure(404, "model_not_found", text, "model")
        body = found[0] if wanted else {"object": "list", "data": found}
        return Answer(200, JSON_HEADERS + id_headers(call_id), write_json(body)), None


def caller_of(request: Request) -> KeyCard:
    """Set by proxy/gateway.py; DRF's types know its own tokens only."""
    return cast(KeyCard, request.auth)


def describe_model(name: str, cards: Any) -> dict[str, Any]:
    created: datetime = min(card.created_at for card in cards)
    return {
        "id": name,
        "object": "model",
        "created": int(created.timestamp()),
        "owned_by": cards[0].provider,
    }


def peer_address(request: Request, headers: Mapping[str, str]) -> str | None:
    """The client's address; a forwarded one is believed from trusted proxies only."""
    address: str | None = request.META.get("REMOTE_ADDR")
    if address in settings.TRUSTED_PROXIES and (forwarded := headers.get("x-forwarded-for")):
        return forwarded.split(",")[-1].strip()[:64]
    return address
