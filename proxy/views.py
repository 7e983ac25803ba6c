"""The gateway's views: DRF APIViews whose handlers are coroutines; parse, answer_call, answer."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.views import APIView

from proxy.answers import JSON_HEADERS, Answer, id_headers
from proxy.arrival import Arrival
from proxy.call import read_call
from proxy.catalogue import allows
from proxy.endpoints import Endpoint
from proxy.error_forms import OPENAI_ERRORS, ErrorForm
from proxy.errors import Failure, not_found
from proxy.journey import answer_call
from proxy.model_lists import (
    Found,
    anthropic_list,
    anthropic_model,
    openai_list,
    openai_model,
)
from proxy.relay import Outlet
from proxy.wire import write_json

Response = tuple[Answer, Outlet | None]


class GatewayView(APIView):
    """`respond` is what proxy/gateway.py awaits; there is one view object per path, for good."""

    errors: ErrorForm = OPENAI_ERRORS
    takes_form = False
    counted_as = "models"  # the endpoint, in the metrics

    @property
    def heartbeat_seconds(self) -> int:
        return settings.STREAM_HEARTBEAT_SECONDS

    def model_in(self, arrival: Arrival) -> str | None:
        return None

    async def respond(self, arrival: Arrival) -> Response:
        raise NotImplementedError

    def check_method(self, arrival: Arrival, *methods: str) -> None:
        if arrival.method not in methods:
            text = f"Use {methods[0]} here."
            headers = {"Allow": ", ".join(methods)}
            raise Failure(405, "method_not_allowed", text, headers=headers)


@extend_schema(exclude=True)
class CallView(GatewayView):
    """Calls of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.errors = endpoint.errors
        self.takes_form = endpoint.takes_form
        self.counted_as = endpoint.name

    def model_in(self, arrival: Arrival) -> str | None:
        if arrival.method != "POST":
            return None
        model = arrival.data.get("model")
        return model if isinstance(model, str) else None

    async def respond(self, arrival: Arrival) -> Response:
        self.check_method(arrival, "POST")
        call = read_call(
            call_id=arrival.call_id,
            endpoint=self.endpoint,
            key=arrival.caller,
            raw=arrival.raw,
            body=arrival.data,
            headers=arrival.headers_by_name,
            address=arrival.address,
            model_in_path=arrival.path_says.get("model"),
            upload=None if arrival.form is None else arrival.form.upload,
        )
        return await answer_call(call, arrival.worker, arrival.has_left)


@extend_schema(exclude=True)
class Models(GatewayView):
    """The models that the key may use, or one of them; in Anthropic's form for its clients."""

    async def respond(self, arrival: Arrival) -> Response:
        self.check_method(arrival, "GET", "HEAD")
        found = await self.find(arrival)
        is_anthropic = "anthropic-version" in arrival.headers_by_name
        if name := arrival.path_says.get("model"):
            if name not in found:
                text = f"The model '{name}' does not exist."
                raise Failure(404, "model_not_found", text, "model")
            body = (anthropic_model if is_anthropic else openai_model)(name, found[name])
        else:
            body = (anthropic_list if is_anthropic else openai_list)(found)
        return Answer(200, JSON_HEADERS + id_headers(arrival.call_id), write_json(body)), None

    async def find(self, arrival: Arrival) -> Found:
        """What the path asks for, as far as the key may use it."""
        allowed = arrival.caller.allowed_models
        catalogue = await arrival.worker.directory.catalogue()
        wanted = arrival.path_says.get("model")
        return {
            name: cards
            for name in ([wanted] if wanted else catalogue.names())
            if (cards := [c for c in catalogue.find(name) if allows(allowed, name, c)])
        }


@extend_schema(exclude=True)
class NotHere(GatewayView):
    """What a gateway might have and this one has not: no path spends without passing the gate."""

    async def respond(self, arrival: Arrival) -> Response:
        raise not_found("There is nothing at this address.")
