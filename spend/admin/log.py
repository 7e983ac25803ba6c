"""The spend log and its tag sets in the admin: every row, every field, for reading."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from spend.admin.house import ReadOnlyAdmin, pretty
from spend.admin.links import linked
from spend.admin.log_list import LogList, RangeFilter, StatusFilter
from spend.cost_breakdown import cost_breakdown, load_tariffs
from spend.log_sheets import rows_of_call
from spend.models import BudgetWindow, CallStatus, SpendLog, TagSet
from spend.money import dollars_text, price_text
from spend.templatetags.moments import fine_moment, full_moment
from spend.templatetags.money import fine_dollars

TAGS_SHOWN = 3
STATUS_LOOKS = {
    CallStatus.SUCCESS: ("ok", "\u2713"),
    CallStatus.FAILURE: ("bad", "\u00d7"),
    CallStatus.REFUSED: ("bad", "\u2298"),
    CallStatus.ESTIMATED: ("warn", "~"),
    CallStatus.CORRECTION: ("quiet", "\u00b1"),
}


@admin.register(SpendLog)
class SpendLogAdmin(ReadOnlyAdmin):
    change_list_template = "admin/spend/spendlog/change_list.html"
    list_display = [
        *("time", "shown_status", "tags", "key", "model"),
        *("tokens_in", "tokens_out", "cost_dollars"),
    ]
    list_filter = [RangeFilter, StatusFilter]
    search_fields = ["id"]  # only so that there is a search; its words are read by LogQuestion
    search_help_text = "tag:, key:, model: or id:, each for equality."
    sortable_by = []
    fieldsets = [
        (None, {"fields": ["id", "time", "shown_status", "http_status", "cost_dollars", "nanos"]}),
        ("Charged to", {"fields": ["tags_all", "key_alias", "key_link", "charged"]}),
        (
            "Call",
            {
                "fields": [
                    *("endpoint", "model", "stream", "client_disconnected", "first_byte"),
                    *("ended", "end_user", "session_id", "user_agent", "address", "more"),
                ]
            },
        ),
        (
            "Upstream",
            {
                "fields": [
                    *("provider", "upstream_model", "deployment_link", "tries"),
                    *("upstream_request_id", "client_request_id"),
                ]
            },
        ),
        (
            "Bill",
            {
                "fields": [
                    *(
                        "prompt_tokens",
                        "completion_tokens",
                        "usage_by_kind",
                        "usage_source",
                        "parts",
                    ),
                    *("price_link", "marks", "failure"),
                ]
            },
        ),
        ("Corrections", {"fields": ["corrected_call", "corrections"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LogList]:
        return LogList

    def get_queryset(self, request: HttpRequest) -> QuerySet[SpendLog]:
        return super().get_queryset(request).select_related("tag_set")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SpendLog], search_term: str
    ) -> tuple[QuerySet[SpendLog], bool]:
        return queryset, False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for _, options in self.fieldsets for name in options["fields"]]

    # -- in the list -----------------------------------------------------------------------------

    @admin.display(description="time")
    def time(self, log: SpendLog) -> SafeString | str:
        return fine_moment(log.at)

    @admin.display(description="status")
    def shown_status(self, log: SpendLog) -> SafeString:
        status = CallStatus(log.status)
        tone, icon = STATUS_LOOKS[status]
        return format_html(
            '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>',
            tone,
            icon,
            status.label,
        )

    @admin.display(description="tags")
    def tags(self, log: SpendLog) -> str:
        names = tags_of(log)
        more = f" +{len(names) - TAGS_SHOWN}" if len(names) > TAGS_SHOWN else ""
        return ", ".join(names[:TAGS_SHOWN]) + more or "-"

    @admin.display(description="key")
    def key(self, log: SpendLog) -> str:
        return log.key_alias or str(log.key_id)

    @admin.display(description="tokens in")
    def tokens_in(self, log: SpendLog) -> str:
        return f"{log.prompt_tokens:,}"

    @admin.display(description="out")
    def tokens_out(self, log: SpendLog) -> str:
        return f"{log.completion_tokens:,}"

    @admin.display(description="cost")
    def cost_dollars(self, log: SpendLog) -> SafeString | str:
        return fine_dollars(log.cost)

    # -- on the page of a row --------------------------------------------------------------------

    @admin.display(description="cost, exactly")
    def nanos(self, log: SpendLog) -> str:
        return f"{log.cost:,} nano-dollars = ${dollars_text(log.cost, decimals_min=9)}"

    @admin.display(description="tags")
    def tags_all(self, log: SpendLog) -> SafeString | str:
        return format_html_join("", "<div>{}</div>", ([name] for name in tags_of(log))) or "-"

    @admin.display(description="key")
    def key_link(self, log: SpendLog) -> SafeString | str:
        return linked("proxy_apikey", log.key_id)

    @admin.display(description="held on")
    def charged(self, log: SpendLog) -> SafeString | str:
        """Each window that the call drew on, with what was held there."""
        windows = BudgetWindow.objects.select_related("budget").in_bulk(log.windows)
        lines = [
            (
                linked("spend_budgetwindow", n, windows[n].budget.public_id),
                full_moment(windows[n].starts_at),
                fine_dollars(hold),
            )
            for n, hold in zip(log.windows, log.holds, strict=True)
            if n in windows
        ]
        return format_html_join("", "<div>{} from {}: {}</div>", lines) or "-"

    @admin.display(description="first byte at")
    def first_byte(self, log: SpendLog) -> SafeString | str:
        return fine_moment(log.first_byte_at) or "-"

    @admin.display(description="ended at")
    def ended(self, log: SpendLog) -> SafeString | str:
        return fine_moment(log.ended_at)

    @admin.display(description="model's deployment")
    def deployment_link(self, log: SpendLog) -> SafeString | str:
        return linked("proxy_deployment", log.deployment_id) if log.deployment_id else "-"

    @admin.display(description="price")
    def price_link(self, log: SpendLog) -> SafeString | str:
        return linked("spend_price", log.price_id) if log.price_id else "-"

    @admin.display(description="metadata")
    def more(self, log: SpendLog) -> SafeString | str:
        return pretty(log.metadata)

    @admin.display(description="attempts")
    def tries(self, log: SpendLog) -> SafeString | str:
        return pretty(log.attempts and [_in_dollars(attempt) for attempt in log.attempts])

    @admin.display(description="cost by kind, before rounding up")
    def parts(self, log: SpendLog) -> SafeString | str:
        """They add up to the cost; what the usage does not explain has a name of its own."""
        found = cost_breakdown(log, load_tariffs([log]))
        lines = [(kind.replace("_", " "), price_text(picos)) for kind, picos in found.items()]
        return format_html_join("", "<div>{}: ${}</div>", lines) or "-"

    @admin.display(description="usage")
    def usage_by_kind(self, log: SpendLog) -> SafeString | str:
        return pretty(log.usage)

    @admin.display(description="flags")
    def marks(self, log: SpendLog) -> str:
        return ", ".join(log.flags) or "-"

    @admin.display(description="error")
    def failure(self, log: SpendLog) -> SafeString | str:
        return pretty(log.error)

    @admin.display(description="corrects")
    def corrected_call(self, log: SpendLog) -> SafeString | str:
        return linked("spend_spendlog", log.corrects) if log.corrects else "-"

    @admin.display(description="corrected by")
    def corrections(self, log: SpendLog) -> SafeString | str:
        rows = [
            (linked("spend_spendlog", row.id), fine_dollars(row.cost))
            for row in rows_of_call(log.id)
            if row.corrects and row.id != log.id
        ]
        return format_html_join("", "<div>{}: {}</div>", rows) or "-"


@admin.register(TagSet)
class TagSetAdmin(ReadOnlyAdmin):
    list_display = ["id", "names"]
    ordering = ["-id"]
    sortable_by = []
    search_fields = ["tags"]
    search_help_text = "The name of a tag, in full."
    fields = ["id", "names"]
    readonly_fields = ["names"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TagSet], search_term: str
    ) -> tuple[QuerySet[TagSet], bool]:
        """Equality, which the index answers."""
        name = search_term.strip()
        return (queryset.filter(tags__contains=[name]) if name else queryset), False

    @admin.display(description="tags")
    def names(self, tag_set: TagSet) -> str:
        return ", ".join(tag_set.tags) or "none"


def tags_of(log: SpendLog) -> list[str]:
    names: list[str] = log.tag_set.tags
    return names


def _in_dollars(attempt: dict[str, Any]) -> dict[str, Any]:
    """An attempt's cost is kept in nano-dollars."""
    cost = {"cost": f"${dollars_text(attempt['cost'])}"} if "cost" in attempt else {}
    return {**attempt, **cost}
