"""DeploymentForm: a model on offer as a form, by the rules of the model API."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from proxy.model_changes import TERMS
from proxy.model_serializers import (
    ABILITY,
    ALIASES_MAX,
    NAME_MAX,
    RETRIES_MAX,
    SECONDS_MAX,
    SMALL_MAX,
    TAGS_MAX,
    TOKENS_MAX,
    ModelInfo,
)
from proxy.models import Deployment
from spend.form_fields import LinesField, ObjectField
from tags.names import LENGTH_MAX, BadTag, clean_tags

SERVED = ["model_name", "aliases", "enabled"]
BY = ["upstream", "upstream_model", "base_model", "mode"]
CHOSEN = ["order", "weight", "tags"]
BOUNDS = [
    *("timeout_seconds", "stream_timeout_seconds", "max_retries"),
    *("input_tokens_max", "output_tokens_max", "terms"),
]
COLUMNS = [*SERVED, *BY, *CHOSEN, *BOUNDS]


def whole(least: int, most: int, *, help_text: str = "", **more: Any) -> forms.IntegerField:
    options = {"required": False, "min_value": least, "max_value": most, "help_text": help_text}
    return forms.IntegerField(**{**options, **more})


class DeploymentForm(forms.ModelForm):
    aliases = LinesField(length_max=NAME_MAX, help_text="Other names for it, one a line.")
    tags = LinesField(
        length_max=LENGTH_MAX, help_text="For tag routing, one a line; see TAG_ROUTING."
    )
    order = whole(1, SMALL_MAX, required=True, initial=1, help_text="The lowest is tried first.")
    weight = whole(0, SMALL_MAX, required=True, initial=1, help_text="Share among equals.")
    timeout_seconds = whole(1, SECONDS_MAX, help_text="For a plain answer of one attempt.")
    stream_timeout_seconds = whole(1, SECONDS_MAX, help_text="Until a stream begins.")
    max_retries = whole(0, RETRIES_MAX, help_text="Further attempts; empty: as in the settings.")
    input_tokens_max = whole(1, TOKENS_MAX)
    output_tokens_max = whole(1, TOKENS_MAX)
    terms = ObjectField(
        required=False,
        help_text=f"A JSON object of {', '.join(TERMS)}, or supports_... for abilities.",
    )

    class Meta:
        model = Deployment
        fields = COLUMNS
        help_texts = {
            "model_name": "What clients ask for. A * at its end takes all names that begin so.",
            "upstream_model": "Its name there. A * at its end passes on what the client's * took.",
            "base_model": "Whose price counts, where the upstream's name says nothing: gpt-4o,"
            " or azure/gpt-4o.",
        }

    def clean_model_name(self) -> str:
        return _clean_name(self.cleaned_data["model_name"])

    def clean_upstream_model(self) -> str:
        return _clean_name(self.cleaned_data["upstream_model"])

    def clean_aliases(self) -> list[str]:
        aliases: list[str] = self.cleaned_data["aliases"]
        if len(aliases) > ALIASES_MAX:
            raise ValidationError(f"At most {ALIASES_MAX} lines.")
        return [_clean_name(alias) for alias in aliases]

    def clean_tags(self) -> list[str]:
        try:
            tags = clean_tags(self.cleaned_data["tags"])
        except BadTag as error:
            raise ValidationError(f"A tag {error}.") from None
        if len(tags) > TAGS_MAX:
            raise ValidationError(f"At most {TAGS_MAX} tags.")
        return tags

    def clean_terms(self) -> dict[str, Any]:
        """By the serializer that reads them from the wire."""
        terms: Any = self.cleaned_data["terms"] or {}
        for name in terms:
            if name not in TERMS and not ABILITY.fullmatch(name):
                raise ValidationError(f"{name} is no term of a model.")
        read = ModelInfo(data=terms)
        if not read.is_valid():
            raise ValidationError(list(_lines(read.errors)))
        known: dict[str, Any] = read.validated_data
        found = {name: known[name] for name in TERMS if known.get(name) is not None}
        return {**found, **known["abilities"]}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        name, behind = cleaned.get("model_name", ""), cleaned.get("upstream_model", "")
        if name and behind.endswith("*") and not name.endswith("*"):
            text = "It can end in * only if the model's name does, for what stands behind it."
            self.add_error("upstream_model", text)
        return cleaned


def _clean_name(name: str) -> str:
    if not name.isprintable():
        raise ValidationError("A model's name has no control characters.")
    if "*" in name[:-1]:
        raise ValidationError("A model's name may have a * at its end only.")
    return name


def _lines(errors: Any, name: str = "") -> Iterator[str]:
    """The serializer's errors, each as one sentence."""
    if isinstance(errors, dict):
        for inner, nested in errors.items():
            yield from _lines(nested, f"{name} {inner}".strip())
    elif isinstance(errors, list):
        for nested in errors:
            yield from _lines(nested, name)
    else:
        yield f"{name} {errors}."
