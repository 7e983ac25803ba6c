"""KeyForm: a virtual key as a form; its secret is made by the verb, and is no field of it."""

from datetime import UTC
from typing import Any
from uuid import uuid4

import orjson
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from proxy.key_fields import METADATA_BYTES_MAX
from proxy.key_serializers import PATTERNS_MAX, RESERVED_ALIASES
from proxy.models import APIKey
from spend.form_fields import LinesField, ObjectField, WallClockField
from tags.changes import Changes
from tags.names import LENGTH_MAX, BadTag, clean_tags
from tags.owner_form import RATE_FIELDS, OwnerForm

ANY, LISTED = "any", "listed"
CLIENT_TAGS = [(ANY, "Any tag"), (LISTED, "Only tags that match one of these globs")]
TAG_FIELDS = ["default_tags", "client_tags", "allowed_tags", "required_tags"]


class KeyForm(OwnerForm):
    columns = ("alias", "allowed_models", *RATE_FIELDS, "blocked")

    form_token = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)
    expires = WallClockField(help_text="UTC. Empty: never.")
    default_tags = LinesField(
        length_max=LENGTH_MAX, help_text="Tags that every call of this key carries, one a line."
    )
    client_tags = forms.ChoiceField(
        choices=CLIENT_TAGS, initial=ANY, label="Tags that a client may add"
    )
    allowed_tags = LinesField(
        length_max=LENGTH_MAX, label="Globs", help_text="One a line. None: the client adds none."
    )
    required_tags = LinesField(
        length_max=LENGTH_MAX,
        help_text="Globs, one a line; each must match a tag of the call.",
    )
    more_metadata = ObjectField(
        required=False, label="Metadata", help_text="A JSON object, kept with the key."
    )

    class Meta:
        model = APIKey
        fields = ["alias", "blocked"]
        help_texts = {"alias": "Unique; how logs and reports name the key."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shown = {"form_token": uuid4().hex, "more_metadata": {}}
        if not self.instance._state.adding:
            shown = shown_key(self.instance)
        self.initial = {**shown, **self.initial}

    def clean_alias(self) -> str | None:
        alias: str | None = self.cleaned_data["alias"]
        if alias is None:
            return None
        if alias in RESERVED_ALIASES:
            raise ValidationError("That is the name of the master key.")
        if not alias.isprintable():
            raise ValidationError("An alias has no control characters.")
        if APIKey.objects.present().filter(alias=alias).exclude(pk=self.instance.pk).exists():
            raise ValidationError(f"Another key is named '{alias}'.")
        return alias

    def clean_default_tags(self) -> list[str]:
        tags = _tags(self.cleaned_data["default_tags"])
        if len(tags) > settings.MAX_TAGS_PER_REQUEST:
            raise ValidationError(f"A call has at most {settings.MAX_TAGS_PER_REQUEST} tags.")
        return tags

    def clean_allowed_tags(self) -> list[str]:
        return _patterns(self.cleaned_data["allowed_tags"])

    def clean_required_tags(self) -> list[str]:
        return _patterns(self.cleaned_data["required_tags"])

    def clean_more_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.cleaned_data["more_metadata"] or {}
        if "tags" in metadata:
            raise ValidationError("The default tags have a field of their own.")
        if len(orjson.dumps(metadata)) > METADATA_BYTES_MAX:
            raise ValidationError("At most 16 KiB.")
        return metadata

    def changes(self, further: Any, pots: Any) -> Changes:
        cleaned = self.cleaned_data
        asked = super().changes(further, pots)
        tags = cleaned["default_tags"]
        expires = cleaned["expires"]
        columns = {
            **asked.columns,
            "metadata": {**cleaned["more_metadata"], **({"tags": tags} if tags else {})},
            "allowed_tags": None if cleaned["client_tags"] == ANY else cleaned["allowed_tags"],
            "required_tags": cleaned["required_tags"],
            "expires_at": expires and expires.replace(tzinfo=UTC),
        }
        return Changes(columns, asked.budget, further, pots)


def shown_key(key: APIKey) -> dict[str, Any]:
    """What the fields beside the columns show."""
    metadata = dict(key.metadata)
    expires = key.expires_at and key.expires_at.astimezone(UTC)
    return {
        "default_tags": metadata.pop("tags", []),
        "more_metadata": metadata,
        "client_tags": ANY if key.allowed_tags is None else LISTED,
        "allowed_tags": key.allowed_tags or [],
        "required_tags": key.required_tags,
        "expires": expires and expires.replace(tzinfo=None, microsecond=0),
        "form_token": "",
    }


def _tags(lines: list[str]) -> list[str]:
    try:
        return clean_tags(lines)
    except BadTag as error:
        raise ValidationError(f"A tag {error}.") from None


def _patterns(lines: list[str]) -> list[str]:
    if len(lines) > PATTERNS_MAX:
        raise ValidationError(f"At most {PATTERNS_MAX} lines.")
    return _tags(lines)
