"""Serializers: the wire's bodies and queries about keys <-> our names."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.timezone import now
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from proxy.key_fields import Life, Metadata, Secret, clean_default_tags
from proxy.known_fields import KEY_FIELDS, KEY_LIST_QUERY
from tags.budget_fields import OPTIONAL, OwnerFields
from tags.fields import Dollars, Flag, StrictSerializer, TagName, Text
from tags.queries import StrictQuery

ALIAS_CHARACTERS_MAX = 128
PATTERNS_MAX = 500
KEYS_MAX = 500
PAGE_KEYS_MAX = 100
RESERVED_ALIASES = ("master",)  # the log says so of calls with the master key
NO_EFFECT = ("default", "llm_api")  # values of LiteLLM's key_type that mean what every key may do

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class KeyFields(OwnerFields):
    """Everything about a key but its secret."""

    answered = frozenset(
        {
            "key_name", "key_id", "token", "token_id", "status", "expires", "reserved",
            "remaining", "total_spend", "budget_id", "budget_started_at", "budget_reset_at",
            "litellm_budget_table", "budgets", "created_at", "updated_at", "created_by",
        }
    )  # fmt: skip
    litellm = KEY_FIELDS
    no_columns = frozenset({"key", "spend", "send_invite_email", "user_id", "tags", "life"})

    key_alias = Text(source="alias", max_length=ALIAS_CHARACTERS_MAX, **OPTIONAL)
    duration = Life(source="life", **OPTIONAL, help_text="Life from now on, such as 30d.")
    metadata = Metadata(**OPTIONAL, help_text="metadata.tags are the default tags.")
    tags = serializers.ListField(**OPTIONAL, help_text="Joined to metadata.tags.")
    user_id = Text(max_length=255, **OPTIONAL, help_text="A label; kept in the metadata.")
    allowed_tags = serializers.ListField(child=TagName(), max_length=PATTERNS_MAX, **OPTIONAL)
    required_tags = serializers.ListField(child=TagName(), max_length=PATTERNS_MAX, **OPTIONAL)
    send_invite_email = Flag(**OPTIONAL, help_text="Accepted without effect.")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            _refuse_spend(data.get("spend"), is_new=self.instance is None)
            without_effect = {"spend"}
            if data.get("key_type") in NO_EFFECT:
                without_effect.add("key_type")
            data = {name: value for name, value in data.items() if name not in without_effect}
        return super().to_internal_value(data)

    def validate_key_alias(self, value: str | None) -> str | None:
        if value is not None and _CONTROL.search(value):
            raise ValidationError("must not contain control characters")
        if value in RESERVED_ALIASES:
            raise ValidationError("is the name of the master key")
        return value

    def validate_tags(self, value: Sequence[Any] | None) -> list[str]:
        return clean_default_tags(value or [], place="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        found = super().validate(attrs)
        if "life" in found:
            found["expires_at"] = expiry(found["life"])
        if not found.keys().isdisjoint({"metadata", "tags", "user_id"}):
            found["metadata"] = self._joined_metadata(found)
        return found

    def _joined_metadata(self, found: Mapping[str, Any]) -> dict[str, Any]:
        stored = {} if self.instance is None else self.instance.metadata
        metadata = dict(found.get("metadata", stored))
        if found.get("user_id") is not None:
            metadata["user_id"] = found["user_id"]
        elif "user_id" in found:
            metadata.pop("user_id", None)
        tags = list(dict.fromkeys([*(metadata.get("tags") or ()), *found.get("tags", ())]))
        if len(tags) > settings.MAX_TAGS_PER_REQUEST:
            text = f"has {len(tags)} tags; a call has at most {settings.MAX_TAGS_PER_REQUEST}"
            raise ValidationError({"metadata": {"tags": ErrorDetail(text, code="too_many_tags")}})
        return metadata | ({"tags": tags} if tags else {})


class NewKey(KeyFields):
    """A key that is to be."""

    key = Secret(**OPTIONAL, help_text="Bring your own: begins with sk-, 20-200 characters.")


class ChangedKey(KeyFields):
    """A key, and what of it changes."""

    key = Text(max_length=512, help_text="The secret, its hash, or the key_id.")


class NamedKey(StrictSerializer):
    """One key."""

    key = Text(max_length=512, help_text="The secret, its hash, or the key_id.")


class KeysToDelete(StrictSerializer):
    """Keys by what names them, or by their aliases."""

    keys = serializers.ListField(child=Text(max_length=512), max_length=KEYS_MAX, **OPTIONAL)
    key_aliases = serializers.ListField(
        child=Text(max_length=ALIAS_CHARACTERS_MAX), max_length=KEYS_MAX, **OPTIONAL
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("keys")) == bool(attrs.get("key_aliases")):
            raise ValidationError({"keys": "either keys or key_aliases must name some"})
        return attrs


class Regeneration(StrictSerializer):
    """Which key gets another secret."""

    litellm = KEY_FIELDS
    key = Text(max_length=512, **OPTIONAL, help_text="The secret, its hash, or the key_id.")
    new_key = Secret(**OPTIONAL)
    grace_period = Life(**OPTIONAL, help_text="How long the old secret works on; default none.")


class KeyInfoQuery(StrictQuery):
    key = serializers.CharField(required=False, max_length=512)


class KeyListQuery(StrictQuery):
    litellm = KEY_LIST_QUERY
    page = serializers.IntegerField(default=1, min_value=1, max_value=1_000_000)
    size = serializers.IntegerField(default=10, min_value=1, max_value=PAGE_KEYS_MAX)
    key_alias = serializers.CharField(required=False, max_length=ALIAS_CHARACTERS_MAX)
    key_hash = serializers.CharField(required=False, max_length=64)
    search = serializers.CharField(required=False, max_length=ALIAS_CHARACTERS_MAX)
    status = serializers.ChoiceField(["active", "blocked", "expired"], required=False)
    return_full_object = serializers.BooleanField(default=False)
    sort_order = serializers.ChoiceField(["asc", "desc"], default="desc")


# -- answers, for the documents ------------------------------------------------------------------


class KeyObject(KeyFields):
    """A key as the wire has it. Members that only answers have are read-only."""

    key = serializers.CharField(read_only=True, help_text="The secret; shown once.")
    key_name = serializers.CharField(read_only=True)
    key_id = serializers.UUIDField(read_only=True)
    token = serializers.CharField(read_only=True)
    token_id = serializers.CharField(read_only=True)
    status = serializers.CharField(read_only=True)
    expires = serializers.DateTimeField(read_only=True, allow_null=True)
    spend = Dollars(read_only=True)
    reserved = Dollars(read_only=True)
    remaining = Dollars(read_only=True, allow_null=True)
    total_spend = Dollars(read_only=True)
    budget_reset_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)
    created_by = serializers.CharField(read_only=True)


def expiry(life: timedelta | None) -> datetime | None:
    return None if life is None else now().replace(microsecond=0) + life


def _refuse_spend(spend: Any, *, is_new: bool) -> None:
    is_nothing = not isinstance(spend, bool) and spend == 0 and is_new
    if spend is not None and not is_nothing:
        text = "is counted, not set; to start anew at nothing, use /key/{key}/reset_spend"
        raise ValidationError({"spend": text})
