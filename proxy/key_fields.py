"""Key fields: serializer fields that only keys have: a life, a brought secret, metadata."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from proxy.credentials import KEY_PREFIX
from spend.windows import BadDuration, length_seconds
from tags.fields import Text
from tags.names import BadTag, clean_tag

METADATA_BYTES_MAX = 16 * 1024
BROUGHT_CHARACTERS_MIN = 20
BROUGHT_CHARACTERS_MAX = 200

_BROUGHT = re.compile(r"sk-[\x21-\x7e]+")


class Life(Text):
    """A length from now on; null: without an end."""

    def to_internal_value(self, data: Any) -> timedelta:  # type: ignore[override]
        try:
            return timedelta(seconds=length_seconds(super().to_internal_value(data)))
        except BadDuration as error:
            raise ValidationError(str(error)) from None


class Secret(Text):
    """A secret that the operator brings along, from another gateway."""

    def to_internal_value(self, data: Any) -> str:
        secret = super().to_internal_value(data)
        is_long_enough = BROUGHT_CHARACTERS_MIN <= len(secret) <= BROUGHT_CHARACTERS_MAX
        if not is_long_enough or not _BROUGHT.fullmatch(secret):
            raise ValidationError(
                f"must begin with {KEY_PREFIX} and have {BROUGHT_CHARACTERS_MIN} to"
                f" {BROUGHT_CHARACTERS_MAX} visible ASCII characters"
            )
        return secret


class Metadata(serializers.DictField):
    """An object of plain JSON values; its `tags` are tags."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise ValidationError("must be an object")
        plain: dict[str, Any] = _plain(data)
        written = orjson.dumps(plain)
        if len(written) > METADATA_BYTES_MAX:
            raise ValidationError("must have at most 16 KiB")
        if b"\\u0000" in written:
            raise ValidationError("must not contain the character U+0000")
        tags = plain.pop("tags", None)
        if tags is not None:
            plain["tags"] = clean_default_tags([tags] if isinstance(tags, str) else tags)
        return plain


def clean_default_tags(tags: Any, place: str = "tags") -> list[str]:
    """Cleaned, without repeats. Raises ValidationError naming the item, under `place` if given."""
    if not isinstance(tags, list):
        raise _bad_tags("must be a list of strings", place)
    found = {}
    for n, tag in enumerate(tags):
        try:
            found[clean_tag(tag)] = n
        except BadTag as error:
            raise _bad_tags(str(error), place, n) from None
    return [tag for tag in found if tag]


def _bad_tags(text: str, place: str, n: int | None = None) -> ValidationError:
    detail: Any = ErrorDetail(text, code="invalid_tag")
    if n is not None:
        detail = {n: detail}
    return ValidationError({place: detail} if place else detail)


def _plain(value: Any) -> Any:
    """Numbers as JSON columns keep them: what is no money may be a float."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
