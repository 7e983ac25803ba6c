"""Serializers: the wire's bodies and queries about tags <-> our names."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from tags.actions import create_tag
from tags.budget_fields import OPTIONAL, OwnerFields
from tags.errors import NotThere, Taken
from tags.fields import Dollars, Flag, StrictSerializer, TagName, Text
from tags.known_fields import TAG_FIELDS
from tags.models import Tag

NAMES_MAX = 500
DESCRIPTION_CHARACTERS_MAX = 1_000
REASON_CHARACTERS_MAX = 1_000
SPEND_IS_COUNTED = "is counted, not set; to start anew at nothing, use /tag/reset_spend"


class TagFields(OwnerFields):
    """Everything about a tag but its name."""

    answered = frozenset(
        {
            "message", "tag", "model_info", "litellm_budget_table", "budget_id", "reserved",
            "remaining", "total_spend", "budget_started_at", "budget_reset_at", "registered",
            "created_at", "updated_at", "created_by",
        }
    )  # fmt: skip
    litellm = TAG_FIELDS
    no_columns = frozenset({"name", "names"})
    description = Text(max_length=DESCRIPTION_CHARACTERS_MAX, allow_blank=True, **OPTIONAL)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        if data.get("spend") is not None:
            raise ValidationError({"spend": SPEND_IS_COUNTED})
        return super().to_internal_value({k: v for k, v in data.items() if k != "spend"})


class NewTag(TagFields):
    """A tag that is to be, or that is to change."""

    name = TagName(help_text="1-128 characters, no comma; it cannot be changed later.")


class NamedTag(StrictSerializer):
    """One tag."""

    name = TagName()


class AdoptedTags(TagFields):
    """Tags that calls have carried, and the fields that each of them gets."""

    names = serializers.ListField(child=TagName(), allow_empty=False, max_length=NAMES_MAX)


class AskedTags(StrictSerializer):
    """`names` as they were asked for: what cannot be a tag is simply not found."""

    names = serializers.ListField(child=Text(allow_blank=True), max_length=NAMES_MAX)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("names"), str):
            data = {**data, "names": [data["names"]]}
        return super().to_internal_value(data)


class SpendReset(StrictSerializer):
    """Why a window starts anew."""

    reset_to = Dollars(default=0, help_text="Only 0.")
    reason = Text(max_length=REASON_CHARACTERS_MAX, allow_blank=True, **OPTIONAL)
    budget_id = Text(max_length=128, **OPTIONAL, help_text="One of its further budgets.")

    def validate_reset_to(self, value: int) -> int:
        if value != 0:
            raise ValidationError("can only be 0")
        return value


class TagSpendReset(SpendReset):
    """Which tag's window starts anew, and why."""

    name = TagName()


def named_tag(body: Mapping[str, Any]) -> Tag:
    """The tag that a body's `name` names. Raises ValidationError, or NotThere."""
    try:
        name = TagName().run_validation(body.get("name", serializers.empty))
    except ValidationError as error:
        raise ValidationError({"name": error.detail}) from None
    tag = Tag.objects.with_budgets().filter(name=name).first()
    if tag is None:
        raise NotThere(f"There is no tag '{name}'.", "name")
    return tag


# -- answers, for the documents ------------------------------------------------------------------


class TagObject(NewTag):
    """A tag as the wire has it. Members that only answers have are read-only."""

    spend = Dollars(read_only=True)
    reserved = Dollars(read_only=True)
    remaining = Dollars(read_only=True, allow_null=True)
    total_spend = Dollars(read_only=True)
    budget_started_at = serializers.DateTimeField(read_only=True)
    budget_reset_at = serializers.DateTimeField(read_only=True, allow_null=True)
    budget_id = serializers.CharField(read_only=True)
    registered = Flag(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)
    created_by = serializers.CharField(read_only=True)
    litellm_budget_table = serializers.DictField(read_only=True)


class SeenTagObject(serializers.Serializer):
    """A tag that calls have carried and nobody has made."""

    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    models = serializers.ListField(allow_null=True)
    registered = Flag()
    spend = Dollars()
    requests = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


LISTED_TAGS = PolymorphicProxySerializer(
    "ListedTag", [TagObject, SeenTagObject], resource_type_field_name=None, many=True
)


class TagMessage(serializers.Serializer):
    message = serializers.CharField()


# -- without a request ---------------------------------------------------------------------------


def create_from_wire(body: Mapping[str, Any], *, actor: str) -> None:
    """Make a tag of what `/tag/new` would take; one that exists already is left as it is.

    Numbers may be floats, as settings have them: their shortest text is what was written.
    """
    asked = NewTag(data=_exact(body))
    asked.is_valid(raise_exception=True)
    try:
        create_tag(asked.validated_data["name"], asked.changes(), actor=actor)
    except Taken:
        return


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: _exact(item) for name, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value
