"""The limit of a tag, edited where it stands in the list."""

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django_htmx.http import reswap, retarget

from spend.amounts import exact_text
from spend.form_fields import DollarsField
from spend.models import Audit
from spend.status import Status
from spend.templatetags.moments import short_text
from tags.access import EDIT, visible_tags
from tags.actions import change_tag, version_of
from tags.changes import Changes
from tags.errors import Stale, TurnedDown
from tags.models import Tag
from tags.pages.page import saying
from tags.pages.roster import RosterPage, RosterQuestion
from tags.roster import Question, Row, complete, read_roster

NO_LIMIT = "no limit"


class LimitPage(RosterQuestion):
    """GET is the field, in its cell or on a page of its own; POST posts the version it was read at.

    Somebody else's change is a 409 with both values; a limit below what is spent asks once more.
    """

    template_name = "tags/roster_limit.html"
    part = "tags/_roster_limit.html"
    done_by = (EDIT,)

    @cached_property
    def tag(self) -> Tag:
        found = visible_tags(self.request.user).with_budgets().filter(pk=self.kwargs["pk"]).first()
        if found is None or not self.may(EDIT):
            raise Http404
        return found

    @property
    def title(self) -> str:
        return f"Limit of {self.tag.name}"

    @property
    def is_cell(self) -> bool:
        return self.is_part

    def context(self) -> dict[str, Any]:
        limit = self.tag.budget.limit
        shown = DollarsField().prepare_value(limit) if limit is not None else ""
        return {
            "tag": self.tag,
            "typed": self.request.POST.get("limit", shown),
            "version": version_of(self.tag),
            "list_query": self._list_query(),
            "present": NO_LIMIT if limit is None else exact_text(limit),
        }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "cancel" in request.GET:
            more = {"row": self.row(), "may_edit": True, "focused": self.tag.pk}
            return self.show(template="tags/_roster_budget.html", **more)
        return self.show(template=self.part if self.is_cell else None)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        before = self.row()
        try:
            limit = DollarsField().clean(request.POST.get("limit", ""))
            warning = self.warning(limit, before)
            if warning and "confirmed" not in request.POST:
                return self.ask(422, warning=warning)
            version = request.POST.get("version", "")
            change_tag(
                self.tag.name,
                Changes(budget={"limit": limit}),
                actor=self.actor,
                version=version,
            )
        except ValidationError as error:
            return self.ask(422, problem=error.messages[0])
        except Stale:
            return self.ask(409, conflict=self.conflict())
        except TurnedDown as refusal:
            return self.ask(422, problem=f"The limit {refusal.text}.")
        return self.saved(before, limit)

    def saved(self, before: Row, limit: int | None) -> HttpResponse:
        was = NO_LIMIT if before.budget is None else amount(before.budget.limit)
        text = f"Limit of {self.tag.name}: {amount(limit)}, before {was}."
        if before.status is Status.OVER_BUDGET and self.row().status is not Status.OVER_BUDGET:
            text += " Calls are admitted again."
        if not self.is_cell:
            return self.say(text, reverse("tags"))
        listed = RosterPage()
        listed.setup(self.request)
        part = listed.show(template="tags/_roster.html", focused=self.tag.pk)
        answer = saying(part, text)
        return retarget(reswap(answer, "outerHTML"), "#roster")

    def row(self) -> Row:
        """The tag, whatever the list is filtered by."""
        asked = Question(covered=self.chosen.covered, now=self.now, names=(self.tag.name,))
        found = read_roster(asked).rows
        complete(found, self.now)
        return found[0]

    def _list_query(self) -> str:
        """Of the list that the cell stands in, which comes back when it is saved."""
        if self.request.method == "POST":
            query = self.request.GET.urlencode()
        else:
            query = urlsplit(self.request.htmx.current_url or "").query
        return f"?{query}" if query else ""

    def ask(self, status: int, **more: str) -> HttpResponse:
        """The field again, with what is to be said about it."""
        return self.show(template=self.part if self.is_cell else None, status=status, **more)

    def warning(self, limit: int | None, row: Row) -> str:
        """What is to be confirmed; empty where nothing is. An emptied field may be a slip."""
        if limit is None:
            has_limit = self.tag.budget.limit is not None
            return f"Without a limit no call of {self.tag.name} is refused." if has_limit else ""
        if not row.is_own or limit >= row.spent:
            return ""
        until = f" until {short_text(row.resets_at, self.now)}" if row.resets_at else ""
        return (
            f"{exact_text(row.spent)} is already spent. With a limit of {exact_text(limit)} every"
            f" call of {self.tag.name} is refused{until}."
        )

    def conflict(self) -> str:
        """Who did it, and what stands there now."""
        audits = Audit.objects.filter(kind="tag", name=self.tag.name)
        last = audits.order_by("-id").values_list("actor", flat=True).first() or "Somebody"
        typed = self.request.POST.get("limit", "").strip()
        mine = exact_text(DollarsField().clean(typed)) if typed else NO_LIMIT
        return (
            f"{last} set this limit to {amount(self.tag.budget.limit)} while you typed {mine}."
            " Which one stays?"
        )


def amount(limit: int | None) -> str:
    return NO_LIMIT if limit is None else exact_text(limit)
