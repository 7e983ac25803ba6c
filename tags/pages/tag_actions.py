"""Actions on one tag: raise this window, block, unblock, reset spend, delete, adopt.

Each is a page with a form first, and the same form in a dialog where htmx asks for it. What needs
to be typed is compared here again, whatever the browser did.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from spend.amounts import exact_text
from spend.budget_form import parse_limit
from spend.money import Nanos
from spend.ranges import Range
from spend.reports import Scope, total
from spend.templatetags.moments import short_text
from tags.access import CREATE, DELETE, EDIT, RESET
from tags.actions import (
    change_tag,
    delete_tag,
    raise_tag_window,
    reset_tag_spend,
)
from tags.budget_rows import BudgetRow, first_shown
from tags.changes import Changes
from tags.errors import TurnedDown
from tags.pages.tag_page import ADOPTED, TagPage, adopt, named_address, was_seen

PERCENTS = (10, 25, 50)
ALL_TIME = Range(
    datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC), is_whole_days=True
)
LATER = {
    "track": "Later calls with this name are counted as seen in traffic, without a budget.",
    "reject": "Later calls with this name are refused.",
    "create": "The next call with this name makes it a tag again, by its template.",
}
NOT_THE_NAME = "That is not the tag's name."


class TagAction(TagPage):
    """GET asks, POST does. `problems` are by field; with any the form comes back, 422."""

    tab = "summary"
    template_name = "tags/tag_action.html"
    needs: str
    problems: dict[str, str] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.done_by = (self.needs,)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.tag is not None and not self.may(self.needs):
            raise PermissionDenied
        return self.show()

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "problems": self.problems,
            "part": self.fragments.get("dialog"),
            "next": self._next(),
            "back": self._next() or self.address("summary"),
        }

    def refuse(self, **problems: str) -> HttpResponse:
        self.problems = problems
        return self.show(status=422)

    def done(self, text: str, address: str | None = None) -> HttpResponse:
        """Where one came from, with the sentence; a dialog sends the whole window there."""
        return self.say(text, address or self._next() or self.address("summary"))

    def _next(self) -> str:
        """A page of this site that one came from, such as a list; empty for none.

        A form that was opened by its own address leads to the tag, not to itself once more.
        """
        asked = self.request.POST.get("next") or self.request.htmx.current_url or ""
        parts = urlsplit(asked)
        path = parts._replace(scheme="", netloc="").geturl()
        is_here = url_has_allowed_host_and_scheme(asked, {self.request.get_host()})
        leads_on = path.startswith("/") and parts.path != self.request.path
        return path if is_here and leads_on else ""


class RaiseWindow(TagAction):
    """Of any budget that the tag draws on; the one that is shown first stands first."""

    needs = EDIT
    fragments = {"dialog": "tags/_tag_raise.html"}

    def context(self) -> dict[str, Any]:
        limited = self._limited()
        only = limited[0] if len(limited) == 1 else None
        asked = self.request.POST or self.request.GET
        return {
            **super().context(),
            "choices": limited,
            "steps": [(by, only.raised_by(by) if only else None) for by in PERCENTS],
            "asked": asked,
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = {row.budget.public_id: row for row in self._limited()}
        row = rows.get(request.POST.get("budget", ""))
        if row is None:
            return self.refuse(budget="Choose the budget that is to be raised.")
        try:
            limit = self._limit(row)
            _, limit = raise_tag_window(
                self.name, limit, budget_id=row.budget.public_id, actor=self.actor
            )
        except ValidationError as error:
            return self.refuse(amount=error.messages[0])
        except TurnedDown:
            present = exact_text(row.standing.limit or 0)
            return self.refuse(amount=f"Enter more than the present {present}.")
        return self.done(raised_text(row, limit, self.now))

    def _limit(self, row: BudgetRow) -> Nanos:
        by = self.request.POST.get("by", "")
        if by in map(str, PERCENTS):
            return row.raised_by(int(by))
        return Nanos(parse_limit(self.request.POST.get("amount", "")))

    def _limited(self) -> list[BudgetRow]:
        rows = [row for row in self.rows if row.standing.limit is not None]
        return sorted(rows, key=lambda row: row is not first_shown(self.rows))


class BlockTag(TagAction):
    needs = EDIT
    fragments = {"dialog": "tags/_tag_block.html"}
    blocks = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        change_tag(self.name, Changes({"blocked": self.blocks}), actor=self.actor)
        if self.blocks:
            return self.done(
                f"Calls with {self.name} are refused from now on. Nothing else changes."
                " Unblock at any time."
            )
        return self.done(f"Calls with {self.name} are admitted again, as far as their budgets go.")


class UnblockTag(BlockTag):
    blocks = False
    fragments = {"dialog": "tags/_tag_unblock.html"}


class ResetSpend(TagAction):
    needs = RESET
    fragments = {"dialog": "tags/_tag_reset.html"}

    def context(self) -> dict[str, Any]:
        own = [row for row in self.rows if row.kind != "pot"]
        return {**super().context(), "own_rows": own, "asked": self.request.POST}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows = {row.budget.public_id: row for row in self.rows if row.kind != "pot"}
        row = rows.get(request.POST.get("budget", ""))
        reason = request.POST.get("reason", "").strip()
        problems = {}
        if row is None:
            problems["budget"] = "Choose the budget whose spend is reset."
        if request.POST.get("name", "").strip() != self.name:
            problems["name"] = NOT_THE_NAME
        if not reason or len(reason) > 1_000 or "\0" in reason:
            problems["reason"] = "Say why, in at most 1,000 characters."
        if problems or row is None:
            return self.refuse(**problems)
        reset_tag_spend(self.name, budget_id=row.budget.public_id, reason=reason, actor=self.actor)
        closed = exact_text(row.standing.spent)
        return self.done(
            f"The window of {self.name} with {closed} is closed and kept; a new one is open at $0."
        )


class DeleteTag(TagAction):
    needs = DELETE
    fragments = {"dialog": "tags/_tag_delete.html"}

    def context(self) -> dict[str, Any]:
        calls = total(Scope(covered=ALL_TIME, tags=(self.name,))).calls
        rows = "Its one log row stays." if calls == 1 else f"Its {calls:,} log rows stay."
        return {
            **super().context(),
            "calls_text": rows if calls else "It has no log rows.",
            "later_text": LATER[settings.UNKNOWN_TAGS],
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.POST.get("name", "").strip() != self.name:
            return self.refuse(name=NOT_THE_NAME)
        delete_tag(self.name, actor=self.actor)
        text = f"{self.name} is deleted. Its log rows stay."
        return self.done(text, reverse("tags"))


class AdoptTag(TagAction):
    """One click; a second one leads to the tag and changes nothing."""

    needs = CREATE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name = request.POST.get("name", "")
        if "\0" in name or not was_seen(name):
            raise Http404
        tag = adopt(name, self.actor)
        if tag is None:
            return HttpResponseRedirect(named_address(name))
        text = ADOPTED.format(name=name)
        return self.say(text, reverse("tag-summary", args=[tag.pk]))


def raised_text(row: BudgetRow, limit: Nanos, now: datetime) -> str:
    """`$5,500.00 until 1 Dec, then $5,000.00 again.`"""
    if row.standing.resets_at is None:
        return f"{exact_text(limit)} until the spend is reset."
    until = short_text(row.standing.resets_at, now).removesuffix(", 00:00")
    then = "no limit" if row.budget.limit is None else f"{exact_text(row.budget.limit)} again"
    return f"{exact_text(limit)} until {until}, then {then}."
