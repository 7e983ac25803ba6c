"""The model API: /model/*. What is on offer, for the master key; what a key may use, for itself."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.deployments import (
    DeploymentExists,
    change_deployment,
    create_deployment,
    delete_deployment,
)
from proxy.errors import Failure, bad_request, not_found
from proxy.model_answers import model_objects
from proxy.model_changes import columns_of, new_upstream, prices_of, upstream_changes
from proxy.model_serializers import (
    ModelBody,
    ModelId,
    ModelInfoQuery,
    ModelMessage,
    ModelObject,
    parse_model_id,
)
from proxy.models import Deployment
from proxy.permissions import HasKey
from proxy.vault import VaultError
from spend.money import BadAmount
from tags.views import ManagementView

GPT_4O = {
    "model_name": "gpt-4o",
    "litellm_params": {"model": "openai/gpt-4o", "api_key": "os.environ/OPENAI_API_KEY"},
    "model_info": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
}
CHANGE = {
    "model_info": {
        "id": "0199d0a4-3c20-7e01-a5b2-6c9d0e1f2a3b",
        "output_cost_per_token": 8e-06,
    }
}


def example(value: Any) -> list[OpenApiExample]:
    return [OpenApiExample("gpt-4o", value=value, request_only=True)]


class NewModelView(ManagementView):
    @extend_schema(request=ModelBody, responses=ModelObject, examples=example(GPT_4O))
    def post(self, request: Request) -> Response:
        """Offer a model. Several of one name share its calls."""
        asked = self.read(ModelBody).validated_data
        with told():
            deployment = create_deployment(
                columns_of(asked),
                new_upstream(asked["litellm_params"]),
                prices_of(asked),
                actor=self.actor,
                deployment_id=asked.get("model_info", {}).get("id"),
            )
        (answer,) = model_objects([deployment])
        message = f"Model: {deployment.id} created successfully"
        return Response({"message": message, **answer})


class UpdateModelView(ManagementView):
    @extend_schema(request=ModelBody, responses=ModelObject, examples=example(CHANGE))
    def post(self, request: Request) -> Response:
        """Change what is present of the model that `model_info.id` names; objects are merged."""
        asked = self.read(ModelBody, partial=True).validated_data
        model_id = asked.get("model_info", {}).get("id")
        if model_id is None:
            raise bad_request("invalid_parameter", "model_info.id is required", "model_info.id")
        return Response(change_model(model_id, asked, self.actor))


class PatchModelView(ManagementView):
    @extend_schema(request=ModelBody, responses=ModelObject, examples=example(CHANGE))
    def patch(self, request: Request, model_id: str) -> Response:
        """The same, for the model that the path names."""
        asked = self.read(ModelBody, partial=True).validated_data
        named = find_id(model_id, "id")
        if asked.get("model_info", {}).get("id", named) != named:
            text = "model_info.id is another model than the path's"
            raise bad_request("invalid_parameter", text, "model_info.id")
        return Response(change_model(named, asked, self.actor))


class DeleteModelView(ManagementView):
    @extend_schema(request=ModelId, responses=ModelMessage, examples=example({"id": "0199d0a4..."}))
    def post(self, request: Request) -> Response:
        """Offer it no more; log rows and prices stay."""
        given = self.read(ModelId).validated_data["id"]
        try:
            delete_deployment(find_id(given, "id"), actor=self.actor)
        except Deployment.DoesNotExist:
            raise no_such_model(given, "id") from None
        return Response({"message": f"Model: {given} deleted successfully"})


class ModelInfoView(ManagementView):
    permission_classes = (HasKey,)

    @extend_schema(
        parameters=[ModelInfoQuery],
        responses=inline_serializer("ModelObjects", {"data": ModelObject(many=True)}),
    )
    def get(self, request: Request) -> Response:
        """All models on offer, or one by its id; a virtual key sees those that it may use."""
        rows = Deployment.objects.select_related("upstream")
        wanted = self.read_query(ModelInfoQuery).get("litellm_model_id")
        if wanted is not None:
            rows = rows.filter(id=find_id(wanted, "litellm_model_id"))
        caller: Any = request.user
        patterns = () if caller.is_master else caller.key.allowed_models
        found = [row for row in rows if may_use(patterns, row)]
        if wanted is not None and not found:
            raise no_such_model(wanted, "litellm_model_id")
        return Response({"data": model_objects(found, shows_upstream=caller.is_master)})


def change_model(model_id: UUID, asked: Mapping[str, Any], actor: str) -> dict[str, Any]:
    stored = Deployment.objects.select_related("upstream").filter(pk=model_id).first()
    if stored is None:
        raise no_such_model(str(model_id), "model_info.id")
    with told():
        changed = change_deployment(
            model_id,
            columns_of(asked, stored),
            upstream_changes(asked.get("litellm_params", {}), stored),
            prices_of(asked),
            actor=actor,
        )
    (answer,) = model_objects([changed])
    return answer


def may_use(patterns: Sequence[str], row: Deployment) -> bool:
    """Whether a key's models let it use this one; a wildcard, if they name something behind it."""
    if not patterns:
        return True
    names = (row.model_name, *row.aliases)
    return any(
        fnmatchcase(name, pattern) or fnmatchcase(pattern, name) or pattern == str(row.id)
        for name in names
        for pattern in patterns
    )


def find_id(text: str, field: str) -> UUID:
    """What is no id names no model. Raises Failure `not_found`."""
    try:
        return parse_model_id(text)
    except ValidationError:
        raise no_such_model(text, field) from None


def no_such_model(model_id: str, field: str) -> Failure:
    return not_found(f"There is no model with the id '{model_id}'.", field)


@contextmanager
def told() -> Iterator[None]:
    """What a verb turned down, as the wire tells it."""
    try:
        yield
    except DeploymentExists:
        text = "A model with this id exists already."
        raise Failure(409, "already_exists", text, "model_info.id") from None
    except BadAmount as error:
        field = f"model_info.{error.field}"
        raise bad_request("invalid_parameter", f"{field}: {error}", field) from None
    except VaultError as error:
        field = "litellm_params.api_key"
        raise bad_request("invalid_parameter", f"{field}: {error}", field) from None
