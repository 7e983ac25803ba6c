"""Add and edit a model: its names, where it is served, with which secret, within which bounds."""

from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from proxy.deployments import change_deployment, create_deployment
from proxy.model_page_form import ModelPageForm, NewUpstreamForm
from proxy.models import Deployment
from proxy.pages.model_page import ModelPage
from proxy.pages.prices import ADD, CHANGE, SEE
from proxy.price_form import PriceForm
from proxy.upstream_terms import UpstreamTerms, upstream_terms
from proxy.vault import VaultError
from tags.pages.budgets_form_page import anchor_of, label_of
from tags.pages.page import Page

UPSTREAM = "up"
CONFLICT = "Somebody else changed this model while you typed. Save again to put yours in its place."


class ModelFormPage(Page):
    template_name = "proxy/model_form.html"
    seen_by = (SEE,)
    row: Any  # a Deployment, or None of one that is to be
    conflict = ""

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "row": self.row,
            "form": self.form,
            "where": self.where,
            "price": self.price,
            "conflict": self.conflict,
            "error_list": self._errors(),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        parts = [self.form.is_valid(), not self.is_elsewhere or self.where.is_valid()]
        parts.append(self.price is None or not self.price.has_changed() or self.price.is_valid())
        if not all(parts):
            return self.show(status=422)
        try:
            return self.save()
        except VaultError as error:
            self.where.add_error("new_secret", f"It cannot be opened or kept: {error}.")
            return self.show(status=422)

    def save(self) -> HttpResponse:
        raise NotImplementedError

    @cached_property
    def form(self) -> ModelPageForm:
        return ModelPageForm(self.data, instance=self.row, initial=self.initial())

    @cached_property
    def data(self) -> Any:
        """What was sent; a conflict gives it the version that is there now."""
        return self.request.POST.copy() if self.request.method == "POST" else None

    @cached_property
    def where(self) -> NewUpstreamForm:
        return NewUpstreamForm(self.request.POST or None, prefix=UPSTREAM)

    @cached_property
    def price(self) -> PriceForm | None:
        """Asked for with a new model only; later it has a page of its own."""
        return None

    def initial(self) -> dict[str, Any]:
        return {}

    @property
    def is_elsewhere(self) -> bool:
        """Whether another upstream is described."""
        return not self.request.POST.get("upstream")

    def upstream_terms(self) -> UpstreamTerms:
        if self.is_elsewhere:
            return self.where.terms()
        return upstream_terms(self.form.cleaned_data["upstream"])

    def _errors(self) -> list[tuple[str, str, str]]:
        if self.request.method != "POST":
            return []
        forms: list[Any] = [self.form, *([self.where] if self.is_elsewhere else [])]
        if self.price is not None and self.price.has_changed():
            forms.append(self.price)
        return [
            (anchor_of(form, field), label_of(form, field), text)
            for form in forms
            for field, texts in form.errors.items()
            for text in texts
        ]


class NewModel(ModelFormPage):
    title = "Add a model"
    done_by = (ADD,)
    row = None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(ADD):
            raise PermissionDenied
        return self.show()

    @cached_property
    def price(self) -> PriceForm | None:
        return PriceForm(self.request.POST or None)

    def save(self) -> HttpResponse:
        given = self.price is not None and self.price.has_changed()
        prices = self.price.prices if given and self.price is not None else {}
        row = create_deployment(
            self.form.own_fields(), self.upstream_terms(), prices, actor=self.actor
        )
        return self.say(f"{row.model_name} is on offer.", address_of(row))


class EditModel(ModelFormPage, ModelPage):
    row = ModelPage.row
    done_by = (CHANGE,)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Edit {self.row.model_name}"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(CHANGE):
            raise PermissionDenied
        return self.show()

    def initial(self) -> dict[str, Any]:
        return {"version": self.row.updated_at.isoformat()}

    def save(self) -> HttpResponse:
        with transaction.atomic():
            stored = Deployment.objects.select_for_update().get(pk=self.row.pk)
            if stored.updated_at.isoformat() != self.request.POST.get("version"):
                self.data["version"] = stored.updated_at.isoformat()
                self.conflict = CONFLICT
                return self.show(status=409)
            moved = {}
            if self.is_elsewhere or self.form.cleaned_data["upstream"] != stored.upstream:
                terms = self.upstream_terms()
                moved = {name: getattr(terms, name) for name in MOVED}
            row = change_deployment(
                self.row.pk, self.form.own_fields(), moved, {}, actor=self.actor
            )
        return self.say(f"{row.model_name} is saved.", address_of(row))


MOVED = ("provider", "address", "api_version", "secret", "secret_variable")


def address_of(row: Deployment) -> str:
    return reverse("price", args=[row.pk])
