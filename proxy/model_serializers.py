"""Serializers: the wire's bodies about models <-> a deployment's columns, upstream and prices."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from proxy.addresses import BadAddress, clean_address
from proxy.fields import Turned
from proxy.known_fields import LITELLM_PARAMS, MODEL_FIELDS, MODEL_INFO
from proxy.providers import Provider, UnsupportedProvider, split_model
from proxy.wishes import FALLBACKS_MAX
from spend.money import BadAmount
from spend.price_fields import is_price_field, rates_from_wire
from tags.fields import Flag, StrictSerializer, TagName, Text, Whole
from tags.queries import StrictQuery

OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}
NAME_MAX = 255
ALIASES_MAX = 100
TAGS_MAX = 100
SECRET_MAX = 4_096
SMALL_MAX = 32_767
TOKENS_MAX = 2**31 - 1
SECONDS_MAX = 86_400
CONNECT_SECONDS_MAX = 60
RETRIES_MAX = 10
VARIABLE = "os.environ/"
TAG_ROUTING = ("off", "any", "all")
OUTPUT_CAP_FIELDS = ("max_tokens", "max_completion_tokens")

# LiteLLM's price fields for what no call here counts.
FOREIGN_PRICE = re.compile(
    r"(input|output)_cost_per_[a-z0-9_]+|cache_(read|creation)_[a-z0-9_]+_cost[a-z0-9_]*"
    r"|[a-z_]*uplift_multiplier[a-z_]*|tiered_pricing|search_context_cost_per_query"
    r"|(ocr|annotation|citation|google_maps_grounding)_cost_per_[a-z_]+"
)
ABILITY = re.compile(r"supports_[a-z_]{1,60}")  # told to whoever asks; nothing depends on them

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = re.compile(r"[\x21-\x7e]+")
_MASKED = re.compile(r"sk-\.\.\..{0,4}")


class Name(Text):
    """What a model may be called; a star, if any, at its end."""

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        _refuse_odd_name(name)
        return name


class Seconds(Whole):
    """Whole seconds; 30.0 is 30."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, Decimal) and data == data.to_integral_value():
            data = int(data)
        return super().to_internal_value(data)


class UpstreamModel(Turned):
    """`provider/model`; the provider and the model."""

    def turn(self, text: str) -> tuple[Provider, str]:
        _refuse_odd_name(text)
        try:
            provider, model = split_model(text)
        except UnsupportedProvider as error:
            raise ValidationError(ErrorDetail(str(error), code="unsupported_provider")) from None
        if not model:
            raise ValidationError("must name a model behind its provider")
        return provider, model


class Address(Text):
    def to_internal_value(self, data: Any) -> str:
        try:
            return clean_address(super().to_internal_value(data))
        except BadAddress as error:
            raise ValidationError(str(error)) from None


class UpstreamSecret(Turned):
    """A secret, or `os.environ/NAME`, as terms of an upstream; or the masked text of one."""

    def turn(self, text: str) -> dict[str, Any]:
        if not text:
            return {"secret": None, "secret_variable": ""}
        if text.startswith(VARIABLE):
            return {"secret": None, "secret_variable": _variable(text.removeprefix(VARIABLE))}
        if not _SECRET.fullmatch(text):
            raise ValidationError("must be visible ASCII characters")
        if _MASKED.fullmatch(text):
            return {"masked": text}
        return {"secret": text, "secret_variable": ""}


class Endpoints(serializers.ListField):
    """Paths with or without /v1 in front, as LiteLLM writes them; kept without."""

    child = Text(max_length=64)

    def to_internal_value(self, data: Any) -> list[str]:
        paths = super().to_internal_value(data)
        return [path.strip("/").removeprefix("v1/") for path in paths]


class Fallbacks(serializers.ListField):
    """Names of models, not that of a wildcard."""

    child = Text(max_length=NAME_MAX)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=FALLBACKS_MAX, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        names: list[str] = super().to_internal_value(data)
        for name in names:
            if not name or "*" in name or _CONTROL.search(name):
                raise ValidationError("must be names of models, without a *")
        return names


class PricedSerializer(StrictSerializer):
    """An object that may have price fields among its members; they are `prices` when it is read."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        prices, rest = {}, {}
        for name, value in data.items():
            if name not in self.fields and is_price_field(name):
                prices[name] = value
            elif name in self.fields or not _is_foreign_price(name, value):
                rest[name] = value
        try:
            rates_from_wire(prices)
        except BadAmount as error:
            raise ValidationError({error.field or "prices": _behind(error)}) from None
        return {**super().to_internal_value(rest), "prices": prices}


class ModelParams(PricedSerializer):
    litellm = LITELLM_PARAMS
    model = UpstreamModel(characters_max=NAME_MAX, help_text="provider/upstream model.")
    api_base = Address(**OPTIONAL, help_text="http or https; needed for azure and hosted_vllm.")
    api_key = UpstreamSecret(
        characters_max=SECRET_MAX,
        allow_blank=True,
        **OPTIONAL,
        help_text="The secret, or os.environ/NAME. Answers show its last four characters.",
    )
    api_version = Text(max_length=32, allow_blank=True, **OPTIONAL)
    tags = serializers.ListField(child=TagName(), max_length=TAGS_MAX, **OPTIONAL)
    weight = Whole(min_value=0, max_value=SMALL_MAX, **OPTIONAL)
    order = Whole(min_value=1, max_value=SMALL_MAX, **OPTIONAL)
    timeout = Seconds(min_value=1, max_value=SECONDS_MAX, **OPTIONAL)
    stream_timeout = Seconds(min_value=1, max_value=SECONDS_MAX, **OPTIONAL)
    max_retries = Whole(min_value=0, max_value=RETRIES_MAX, **OPTIONAL)


class ModelInfo(PricedSerializer):
    litellm = MODEL_INFO
    answered = frozenset({"db_model", "created_at", "updated_at", "created_by"})
    id = Text(required=False, max_length=64)
    mode = Text(max_length=32, **OPTIONAL)
    base_model = Text(max_length=NAME_MAX, allow_blank=True, **OPTIONAL)
    aliases = serializers.ListField(
        child=Name(max_length=NAME_MAX), max_length=ALIASES_MAX, **OPTIONAL
    )
    max_input_tokens = Whole(min_value=1, max_value=TOKENS_MAX, **OPTIONAL)
    max_output_tokens = Whole(min_value=1, max_value=TOKENS_MAX, **OPTIONAL)
    fallbacks = Fallbacks(**OPTIONAL, help_text="Models to try when this one fails, in order.")
    context_window_fallbacks = Fallbacks(
        **OPTIONAL, help_text="The same, for calls that are too long for this one."
    )
    connect_timeout = Seconds(min_value=1, max_value=CONNECT_SECONDS_MAX, **OPTIONAL)
    chunk_timeout = Seconds(
        min_value=1, max_value=SECONDS_MAX, **OPTIONAL, help_text="The longest gap in an answer."
    )
    total_timeout = Seconds(
        min_value=1, max_value=SECONDS_MAX, **OPTIONAL, help_text="Of a call in all its attempts."
    )
    cooldown_time = Seconds(
        min_value=0, max_value=SECONDS_MAX, **OPTIONAL, help_text="Seconds; 0: it never cools."
    )
    supported_endpoints = Endpoints(max_length=50, **OPTIONAL)
    supports_stream_options = Flag(**OPTIONAL)
    tag_routing = serializers.ChoiceField(choices=TAG_ROUTING, **OPTIONAL)
    output_cap_field = serializers.ChoiceField(choices=OUTPUT_CAP_FIELDS, **OPTIONAL)
    token_margin = Whole(min_value=0, max_value=TOKENS_MAX, **OPTIONAL)
    reasoning_tokens_max = Whole(min_value=0, max_value=TOKENS_MAX, **OPTIONAL)
    image_tokens_max = Whole(min_value=0, max_value=TOKENS_MAX, **OPTIONAL)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        names = [name for name in data if name not in self.fields and ABILITY.fullmatch(name)]
        abilities = {name: data[name] for name in names}
        for name, value in abilities.items():
            if not isinstance(value, bool | None):
                raise ValidationError({name: "must be true or false"})
        rest = {name: value for name, value in data.items() if name not in abilities}
        return {**super().to_internal_value(rest), "abilities": abilities}

    def validate_id(self, value: str) -> UUID:
        return parse_model_id(value)


class ModelBody(StrictSerializer):
    """A model as `/model/new` takes it; partial, what is to be changed of one."""

    litellm = MODEL_FIELDS
    answered = frozenset({"message", "effective_price"})
    model_name = Name(max_length=NAME_MAX, help_text="What clients ask for.")
    litellm_params = ModelParams()
    model_info = ModelInfo(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        params, described = attrs.get("litellm_params", {}), attrs.get("model_info", {})
        for name, value in described.get("prices", {}).items():
            if params.get("prices", {}).get(name, value) != value:
                text = "is another price in litellm_params"
                raise ValidationError({"model_info": {name: text}})
        return attrs


class ModelId(StrictSerializer):
    id = Text(max_length=64)


class ModelInfoQuery(StrictQuery):
    litellm_model_id = serializers.CharField(required=False, max_length=64)


class ModelObject(ModelBody):
    """A model as answers have it, for the documents."""

    effective_price = serializers.DictField(
        read_only=True, allow_null=True, help_text="Which price counts now, and where it is from."
    )


class ModelMessage(serializers.Serializer[Any]):
    message = serializers.CharField()


def parse_model_id(value: str) -> UUID:
    """Raises ValidationError."""
    try:
        return UUID(value)
    except ValueError:
        raise ValidationError("must be a UUID") from None


def _refuse_odd_name(name: str) -> None:
    if _CONTROL.search(name):
        raise ValidationError("must not have control characters")
    if "*" in name[:-1]:
        raise ValidationError("may have a * at its end only")


def _variable(name: str) -> str:
    if not fnmatchcase(name, settings.UPSTREAM_KEY_ENV):
        raise ValidationError(f"must name a variable that fits {settings.UPSTREAM_KEY_ENV}")
    if name not in settings.UPSTREAM_SECRETS:
        raise ValidationError(f"names {name}, which is not in the server's environment")
    return name


def _is_foreign_price(name: str, value: Any) -> bool:
    """Raises ValidationError `unsupported_field` if it says anything."""
    if not FOREIGN_PRICE.fullmatch(name):
        return False
    if value is not None:
        text = "is a price that no call here can be billed by"
        raise ValidationError({name: ErrorDetail(text, code="unsupported_field")})
    return True


def _behind(error: BadAmount) -> str:
    """What is wrong, without the field's name in front."""
    return str(error).removeprefix(f"{error.field} ")
