"""Reservations in the admin: calls in flight, and what they hold."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from spend.admin.house import ReadOnlyAdmin, pretty
from spend.models import BudgetWindow, Reservation
from spend.templatetags.moments import fine_moment
from spend.templatetags.money import fine_dollars


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ["admitted", "id", "model_asked", "key", "held", "expires", "worker"]
    list_display_links = ["admitted", "id"]
    ordering = ["-id"]
    sortable_by = []
    fields = ["id", "admitted", "expires", "worker", "held", "holds_by_budget", "wanted"]
    readonly_fields = ["admitted", "expires", "held", "holds_by_budget", "wanted"]

    @admin.display(description="admitted")
    def admitted(self, reservation: Reservation) -> SafeString | str:
        return fine_moment(reservation.admitted_at)

    @admin.display(description="expires")
    def expires(self, reservation: Reservation) -> SafeString | str:
        return fine_moment(reservation.expires_at)

    @admin.display(description="model asked for")
    def model_asked(self, reservation: Reservation) -> Any:
        return reservation.intent.get("model")

    @admin.display(description="key")
    def key(self, reservation: Reservation) -> Any:
        return reservation.intent.get("key_alias") or reservation.intent.get("key_id")

    @admin.display(description="held at most")
    def held(self, reservation: Reservation) -> SafeString | str:
        """What an unknown ending costs: the largest of its holds, or its estimate."""
        return fine_dollars(max([reservation.estimate, *reservation.holds]))

    @admin.display(description="held on")
    def holds_by_budget(self, reservation: Reservation) -> SafeString | str:
        windows = BudgetWindow.objects.select_related("budget").in_bulk(reservation.windows)
        lines = [
            (windows[window].budget.public_id if window in windows else window, fine_dollars(hold))
            for window, hold in zip(reservation.windows, reservation.holds, strict=True)
        ]
        return format_html_join("", "<div>{}: {}</div>", lines) or "-"

    @admin.display(description="intent")
    def wanted(self, reservation: Reservation) -> SafeString | str:
        return pretty({k: v for k, v in reservation.intent.items() if k != "key_digest"})
