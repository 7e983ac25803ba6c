"""Models on offer in the admin: which name is served by which upstream's model, on what terms."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from proxy.admin.deployment_form import BOUNDS, BY, CHOSEN, SERVED, DeploymentForm
from proxy.deployment_cards import priced_model
from proxy.deployments import audit_values
from proxy.models import Deployment
from proxy.providers import price_providers
from spend.admin.house import HouseAdmin, actor_of
from spend.admin.links import linked
from spend.audit import record_change
from spend.models import Price, PriceSource
from spend.price_book import PriceBook, load_price_book
from spend.rate_lines import rate_lines
from spend.rollover import database_now
from spend.templatetags.moments import full_moment
from spend.templatetags.money import per_million
from tags.admin.deletion import KeptDeletion

NO_PRICE = "No price"
WILDCARD = "by what is asked for"
SOURCES = {
    PriceSource.DEPLOYMENT.value: "its own price",
    PriceSource.OPERATOR.value: "the operator's price",
    PriceSource.CATALOGUE.value: "the price list's",
}


class DeploymentList(ChangeList):
    """Sets `book`, the prices that count now, on each row of the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        book = book_of(rows)
        for row in rows:
            row.book = book
        self.result_list = rows


@admin.register(Deployment)
class DeploymentAdmin(KeptDeletion, HouseAdmin):
    form = DeploymentForm
    autocomplete_fields = ["upstream"]
    list_display = ["model_name", "upstream", "upstream_model", "enabled", "input", "output"]
    list_filter = ["enabled", "upstream"]
    list_select_related = ["upstream"]
    search_fields = ["model_name", "upstream_model"]
    sortable_by = ["model_name", "upstream_model"]
    fieldsets: ClassVar[Any] = [
        ("Served", {"fields": SERVED}),
        ("By", {"fields": BY}),
        ("Chosen", {"fields": CHOSEN}),
        ("Bounds", {"fields": BOUNDS}),
    ]
    deletion_text = "Its upstream, its log rows and its prices stay."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DeploymentList]:
        return DeploymentList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        return super().get_queryset(request).select_related("upstream")

    def get_fieldsets(self, request: HttpRequest, obj: Deployment | None = None) -> Any:
        made = ("Price", {"fields": ["price_now", "id", "created", "created_by"]})
        return self.fieldsets if obj is None else [*self.fieldsets, made]

    def get_readonly_fields(self, request: HttpRequest, obj: Deployment | None = None) -> Any:
        return [] if obj is None else ["price_now", "id", "created", "created_by"]

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Deployment, form: Any, change: bool) -> None:
        actor = actor_of(request)
        if not change:
            obj.created_by = actor
            obj.save(force_insert=True)
            record_change(actor, "create", "model", audit_name(obj), after=audit_values(obj))
            return
        before = audit_values(self.get_queryset(request).get(pk=obj.pk))
        obj.save()
        after = audit_values(obj)
        if after != before:
            name = audit_name(obj)
            record_change(actor, "update", "model", name, before=before, after=after)

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Deployment) -> None:
        before = audit_values(obj)
        name = audit_name(obj)
        obj.delete()
        record_change(actor_of(request), "delete", "model", name, before=before)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Deployment]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @admin.display(description="input per 1M")
    def input(self, row: Deployment) -> SafeString | str:
        return self._rate(row, "input")

    @admin.display(description="output per 1M")
    def output(self, row: Deployment) -> SafeString | str:
        return self._rate(row, "output")

    @admin.display(description="price now")
    def price_now(self, row: Deployment) -> SafeString | str:
        if _passes_on(row):
            return WILDCARD
        price = price_of(row)
        if price is None:
            return f"{NO_PRICE}: calls are refused until it has one"
        lines = format_html_join("", "<div>{}: {}</div>", rate_lines(price.rates))
        source = linked("spend_price", price.pk, SOURCES[price.source])
        return format_html("{}<div>{}, from {}</div>", lines, source, full_moment(price.starts_at))

    @admin.display(description="created")
    def created(self, row: Deployment) -> SafeString | str:
        return full_moment(row.created_at)

    def _rate(self, row: Deployment, kind: str) -> SafeString | str:
        if _passes_on(row):
            return WILDCARD
        price = price_of(row)
        if price is None:
            mark = '<span class="status warn"><span aria-hidden="true">!</span> {}</span>'
            return format_html(mark, NO_PRICE)
        return per_million(price.rates.get(kind)) or "-"


def book_of(rows: list[Deployment]) -> PriceBook:
    """One query for all."""
    models = {priced_model(row)[1] for row in rows}
    return load_price_book(database_now(), deployments=[row.id for row in rows], models=models)


def price_of(row: Any) -> Price | None:
    """The price that counts for the row now; read once for a row that comes without its list."""
    if not hasattr(row, "book"):
        row.book = book_of([row])
    book: PriceBook = row.book
    provider, model = priced_model(row)
    return book.find(deployment_id=row.id, providers=price_providers(provider), model=model)


def audit_name(row: Deployment) -> str:
    return f"{row.model_name} {row.id}"[:255]


def _passes_on(row: Deployment) -> bool:
    return row.upstream_model.endswith("*")
