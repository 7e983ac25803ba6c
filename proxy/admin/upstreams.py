"""Upstreams in the admin: a provider's address and our secret there, written and never read."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.http import HttpRequest

from proxy.addresses import BadAddress, clean_address
from proxy.model_serializers import SECRET_MAX
from proxy.models import Upstream
from proxy.providers import PROVIDERS
from proxy.upstream_terms import ENDING_LENGTH_MIN, masked_secret
from proxy.vault import VaultError, seal
from spend.admin.house import HouseAdmin, actor_of
from spend.audit import record_change

COLUMNS = ["name", "provider", "address", "api_version", "secret_variable"]
VISIBLE_ASCII = RegexValidator(r"^[\x21-\x7e]+\Z", "A secret has visible ASCII characters only.")


class UpstreamForm(forms.ModelForm):
    provider = forms.ChoiceField(choices=[(name, name) for name in PROVIDERS])
    address = forms.CharField(
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Base URL, such as https://host/v1. Empty: the provider's own, if it has one.",
    )
    new_secret = forms.CharField(
        required=False,
        label="Secret",
        max_length=SECRET_MAX,
        validators=[VISIBLE_ASCII],
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
        help_text="Kept encrypted and never shown. Empty: the secret stays as it is.",
    )
    forget_secret = forms.BooleanField(required=False, label="Forget the secret")

    class Meta:
        model = Upstream
        fields = COLUMNS
        help_texts = {
            "api_version": "Needed for azure.",
            "secret_variable": "Instead of a secret kept here: the environment variable that"
            " holds it.",
        }

    def clean_secret_variable(self) -> str:
        name: str = self.cleaned_data["secret_variable"]
        if name and name not in settings.UPSTREAM_SECRETS:
            raise ValidationError(
                f"{name} is not in the server's environment, or does not fit"
                f" {settings.UPSTREAM_KEY_ENV}."
            )
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        provider = PROVIDERS.get(cleaned.get("provider", ""))
        if provider is None or "address" not in cleaned:
            return cleaned
        try:
            cleaned["address"] = clean_address(cleaned["address"] or provider.address)
        except BadAddress as error:
            self.add_error("address", f"It {error}.")
        if provider.needs_version and not cleaned.get("api_version"):
            self.add_error("api_version", f"It is needed for {provider.name}.")
        self._clean_secret(cleaned)
        return cleaned

    def _clean_secret(self, cleaned: dict[str, Any]) -> None:
        secret = cleaned.get("new_secret")
        is_given_up = cleaned.get("forget_secret") or cleaned.get("secret_variable")
        if secret and is_given_up:
            self.add_error("new_secret", "Either a secret, or where else it is; not both.")
        is_kept = self.instance.secret is not None and not secret and not is_given_up
        if is_kept and "provider" in self.changed_data:
            self.add_error("new_secret", "Enter it again: one provider's secret is not another's.")
        if secret and not self.errors:
            try:
                self.instance.secret = seal(self.instance.id, secret)
            except VaultError as error:
                self.add_error("new_secret", f"It cannot be kept: {error}.")
            self.instance.secret_ending = secret[-4:] if len(secret) >= ENDING_LENGTH_MIN else ""
        elif is_given_up:
            self.instance.secret, self.instance.secret_ending = None, ""


@admin.register(Upstream)
class UpstreamAdmin(HouseAdmin):
    form = UpstreamForm
    list_display = ["name", "provider", "address", "secret_set"]
    list_filter = ["provider"]
    search_fields = ["name", "address"]
    sortable_by = ["name", "provider"]
    actions = None

    def get_fieldsets(self, request: HttpRequest, obj: Upstream | None = None) -> Any:
        may_edit = obj is None or self.has_change_permission(request, obj)
        secret = ["new_secret", "forget_secret"] if may_edit else []
        if obj is None:
            secret = ["new_secret"]
        known = [] if obj is None else ["secret_set"]
        return [
            (None, {"fields": COLUMNS[:-1]}),
            ("Secret", {"fields": [*known, *secret, "secret_variable"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Upstream | None = None) -> Any:
        return [] if obj is None else ["secret_set"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change=change, **{**kwargs, "fields": COLUMNS})

    def save_model(self, request: HttpRequest, obj: Upstream, form: Any, change: bool) -> None:
        before = described(Upstream.objects.get(pk=obj.pk)) if change else None
        obj.save()
        after = described(obj)
        if form.cleaned_data.get("new_secret"):
            after["secret_replaced"] = True
        if after != before:
            action = "change" if change else "create"
            actor = actor_of(request)
            record_change(actor, action, "upstream", obj.name, before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: Upstream) -> None:
        before = described(obj)
        obj.delete()
        record_change(actor_of(request), "delete", "upstream", obj.name, before=before)

    @admin.display(description="secret in use")
    def secret_set(self, upstream: Upstream) -> str:
        return masked_secret(upstream) or "none"


def described(upstream: Upstream) -> dict[str, Any]:
    """As plain values, for the audit; the secret masked."""
    return {
        **{name: getattr(upstream, name) for name in COLUMNS},
        "secret": masked_secret(upstream),
    }
