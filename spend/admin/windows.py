"""Windows in the admin: a budget's newest ones, and the list of all; the ledger writes them."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from spend.admin.house import ReadOnlyAdmin
from spend.models import BudgetWindow
from spend.status import used_text
from spend.templatetags.moments import moment
from spend.templatetags.money import dollars

NEWEST = 24
COLUMNS = ["starts", "ends", "shown_limit", "spent_dollars", "held", "used", "mode_word", "over"]


class WindowColumns:
    """Columns that the list and the inline share."""

    @admin.display(description="starts", ordering="starts_at")
    def starts(self, window: BudgetWindow) -> SafeString | str:
        return moment(window.starts_at)

    @admin.display(description="ends", ordering="ends_at")
    def ends(self, window: BudgetWindow) -> SafeString | str:
        return moment(window.ends_at) or "never"

    @admin.display(description="limit")
    def shown_limit(self, window: BudgetWindow) -> SafeString | str:
        return dollars(window.limit) or "no limit"

    @admin.display(description="spent", ordering="spent")
    def spent_dollars(self, window: BudgetWindow) -> SafeString | str:
        return dollars(window.spent)

    @admin.display(description="held")
    def held(self, window: BudgetWindow) -> SafeString | str:
        return dollars(window.reserved)

    @admin.display(description="used")
    def used(self, window: BudgetWindow) -> str:
        return used_text(window.limit, window.spent) or "-"

    @admin.display(description="mode")
    def mode_word(self, window: BudgetWindow) -> str:
        return window.mode

    @admin.display(description="above a strict limit")
    def over(self, window: BudgetWindow) -> SafeString | str:
        return dollars(window.excess or None) or "-"


class NewestWindows(BaseInlineFormSet):
    """A slice, which an inline's queryset cannot be before it is filtered by its parent."""

    def get_queryset(self) -> QuerySet[Any]:
        if not hasattr(self, "_newest"):
            self._newest = super().get_queryset()[:NEWEST]
        return self._newest


class WindowInline(WindowColumns, admin.TabularInline):
    model = BudgetWindow
    formset = NewestWindows
    fields: ClassVar[Any] = COLUMNS
    readonly_fields = COLUMNS
    extra = 0
    can_delete = False
    verbose_name_plural = f"windows, the newest {NEWEST}"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(BudgetWindow)
class BudgetWindowAdmin(WindowColumns, ReadOnlyAdmin):
    list_display = ["budget", "is_open", *COLUMNS]
    list_filter = ["is_open", "mode"]
    list_select_related = ["budget"]
    search_fields = ["=budget__public_id"]
    search_help_text = "A budget's name, in full."
    ordering = ["-id"]
    sortable_by = []
    fields: ClassVar[Any] = ["budget", "is_open", *COLUMNS]
    readonly_fields = COLUMNS

    def get_queryset(self, request: HttpRequest) -> QuerySet[BudgetWindow]:
        return super().get_queryset(request).select_related("budget")
