"""ModelPageForm: a model on offer as the pages ask for it; NewUpstreamForm: where it is served."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from proxy.admin.deployment_form import COLUMNS, DeploymentForm
from proxy.admin.upstreams import UpstreamForm
from proxy.models import Upstream
from proxy.upstream_terms import UpstreamTerms

ANOTHER = "Another, as below"
OWN = tuple(column for column in COLUMNS if column != "upstream")


class ModelPageForm(DeploymentForm):
    """`upstream` may be one that there is, or another that stands beside."""

    upstream = forms.ModelChoiceField(
        queryset=Upstream.objects.order_by("name"), required=False, empty_label=ANOTHER
    )
    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def own_fields(self) -> dict[str, Any]:
        """The row's own fields, once the form is valid."""
        return {column: self.cleaned_data[column] for column in OWN}

    def clean_mode(self) -> str:
        return self.cleaned_data["mode"] or "chat"


class NewUpstreamForm(UpstreamForm):
    """Without a name: it gets one by its provider and address."""

    class Meta(UpstreamForm.Meta):
        fields = ["provider", "address", "api_version", "secret_variable"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["forget_secret"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not cleaned.get("address") and "address" not in self.errors:
            raise ValidationError({"address": "It is needed for this provider."})
        return cleaned

    def terms(self) -> UpstreamTerms:
        given = self.cleaned_data
        return UpstreamTerms(
            provider=given["provider"],
            address=given["address"],
            api_version=given.get("api_version") or "",
            secret=given.get("new_secret") or None,
            secret_variable=given.get("secret_variable") or "",
        )
