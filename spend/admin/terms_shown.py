"""TermsShown: what lists and pages show of a budget: its terms, and how its open window stands."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from spend.models import Budget, BudgetMode
from spend.standings import Standing, read_standings
from spend.status import used_text
from spend.templatetags.moments import moment
from spend.templatetags.money import dollars

TERM_FIELDS = ["limit", "soft_limit", "duration", "time_zone", "start", "mode", "alert_thresholds"]
SHOWN_TERMS = [f"shown_{term}" for term in TERM_FIELDS]
WINDOW_FIELDS = ["spent", "held", "used", "opened", "resets"]


class TermsShown:
    """Mixed into the admin of budgets, and of what has one of its own."""

    def own_budget(self, row: Any) -> Budget:
        found: Budget = row.budget
        return found

    def standing(self, row: Any) -> Standing:
        found: Standing = self.standings(row)[self.own_budget(row).pk]
        return found

    def standings(self, row: Any) -> dict[int, Standing]:
        """Of a list's row they are there already (StandingList); of a single one, read once."""
        if not hasattr(row, "standings"):
            row.standings = read_standings(self.counted_budgets(row))
        found: dict[int, Standing] = row.standings
        return found

    def counted_budgets(self, row: Any) -> list[Budget]:
        """Those that its status depends on."""
        return [self.own_budget(row)]

    def terms_fieldsets(self, request: HttpRequest, row: Any) -> list[Any]:
        """Editable terms for whoever may change them, else their values; then the open window."""
        may: Any = self  # a ModelAdmin as well
        may_edit = may.has_add_permission(request)
        if row is not None:
            may_edit = may.has_change_permission(request, row)
        terms = ("Budget", {"fields": TERM_FIELDS if may_edit else SHOWN_TERMS})
        window = ("Open window", {"fields": WINDOW_FIELDS})
        return [terms] if row is None else [terms, window]

    # -- the open window -------------------------------------------------------------------------

    @admin.display(description="spent")
    def spent(self, row: Any) -> SafeString | str:
        return dollars(self.standing(row).spent)

    @admin.display(description="held by calls in flight")
    def held(self, row: Any) -> SafeString | str:
        return dollars(self.standing(row).reserved)

    @admin.display(description="used")
    def used(self, row: Any) -> str:
        standing = self.standing(row)
        return used_text(standing.limit, standing.spent) or "-"

    @admin.display(description="opened")
    def opened(self, row: Any) -> SafeString | str:
        return moment(self.standing(row).starts_at)

    @admin.display(description="resets")
    def resets(self, row: Any) -> SafeString | str:
        return moment(self.standing(row).resets_at) or "never"

    # -- terms -----------------------------------------------------------------------------------

    @admin.display(description="limit")
    def shown_limit(self, row: Any) -> SafeString | str:
        return dollars(self.own_budget(row).limit) or "no limit"

    @admin.display(description="soft limit")
    def shown_soft_limit(self, row: Any) -> SafeString | str:
        return dollars(self.own_budget(row).soft_limit) or "-"

    @admin.display(description="duration")
    def shown_duration(self, row: Any) -> str:
        return self.own_budget(row).duration or "never resets"

    @admin.display(description="time zone")
    def shown_time_zone(self, row: Any) -> str:
        return self.own_budget(row).time_zone

    @admin.display(description="start")
    def shown_start(self, row: Any) -> SafeString | str:
        return moment(self.own_budget(row).start) or "-"

    @admin.display(description="mode")
    def shown_mode(self, row: Any) -> str:
        return str(BudgetMode(self.own_budget(row).mode).label)

    @admin.display(description="alert thresholds")
    def shown_alert_thresholds(self, row: Any) -> str:
        return ", ".join(f"{n}%" for n in self.own_budget(row).alert_thresholds) or "none"
