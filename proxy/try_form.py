"""TryForm: a call as the page asks for it: whose key, which model, which tags, what to say."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.timezone import now

from proxy.models import APIKey
from tags.names import LENGTH_MAX, BadTag, clean_tags

KEYS_OFFERED_MAX = 500
MESSAGE_MAX = 20_000
OUTPUT_MAX = 32_000
EXAMPLE = "Say hello in five words."


class KeyChoice(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return str(obj)


class TryForm(forms.Form):
    key = KeyChoice(queryset=APIKey.objects.none(), label="As key", empty_label=None)
    model = forms.ChoiceField()
    tags = forms.CharField(required=False, max_length=20 * LENGTH_MAX, label="Tags, between commas")
    message = forms.CharField(
        max_length=MESSAGE_MAX, initial=EXAMPLE, widget=forms.Textarea(attrs={"rows": 4})
    )
    output = forms.IntegerField(
        min_value=1, max_value=OUTPUT_MAX, initial=200, label="Output tokens at most"
    )
    stream = forms.BooleanField(required=False, label="As a stream")

    def __init__(self, *args: Any, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        working = Q(expires_at__isnull=True) | Q(expires_at__gt=now())
        keys = APIKey.objects.present().filter(working, blocked=False)
        chosen: Any = self.fields["key"]
        chosen.queryset = keys.order_by("alias", "id")
        offered: Any = self.fields["model"]
        offered.choices = [(name, name) for name in models]

    @property
    def has_choices(self) -> bool:
        """Whether there is a key and a model to try."""
        keys: Any = self.fields["key"]
        models: Any = self.fields["model"]
        return bool(models.choices) and bool(keys.queryset.exists())

    def clean_tags(self) -> list[str]:
        try:
            return clean_tags(self.cleaned_data["tags"].split(","))
        except BadTag as error:
            raise ValidationError(f"A tag {error}.", code="invalid") from None

    def body(self) -> dict[str, Any]:
        """Of a form that is right: the call as the API takes it."""
        given = self.cleaned_data
        body: dict[str, Any] = {
            "model": given["model"],
            "messages": [{"role": "user", "content": given["message"]}],
            "max_tokens": given["output"],
        }
        if given["tags"]:
            body["metadata"] = {"tags": given["tags"]}
        return body | ({"stream": True} if given["stream"] else {})
