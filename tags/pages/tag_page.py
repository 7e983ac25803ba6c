"""TagPage: what the five tabs of a tag share; a tag that was only seen in traffic has three."""

from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import Http404
from django.urls import reverse

from spend.models import TagSet
from spend.range_choices import CHOICES, RangeChoice, choose_range
from spend.terms import complete_terms
from spend.windows import midnight, open_zone
from tags.access import CREATE, DELETE, EDIT, RESET, SEE_ALL, visible_names, visible_tags
from tags.actions import adopt_tags
from tags.budget_rows import BudgetRow, read_budget_rows, status_over, with_forecast
from tags.changes import Changes
from tags.errors import TurnedDown
from tags.models import Tag
from tags.pages.page import Page
from tags.pages.usage import usage_of

TABS = {
    "summary": "Summary",
    "breakdown": "Breakdown",
    "logs": "Logs",
    "alerts": "Alerts",
    "history": "History",
}
ADOPTED = "{name} is now a tag. It is counted without a limit. Set a budget?"
SEEN_TABS = ("summary", "breakdown", "logs")


class TagPage(Page):
    """Found by its id, or, where nobody has made it a tag, by the name that calls carry."""

    tab: str

    @cached_property
    def tag(self) -> Tag | None:
        if "pk" not in self.kwargs:
            return None
        user = self.request.user
        owns = Tag.owners.through.objects.filter(tag=OuterRef("pk"), user=user.pk)
        seen = visible_tags(user).with_budgets().annotate(is_own=Exists(owns))
        tag = seen.filter(pk=self.kwargs["pk"]).first()
        if tag is None:
            raise Http404
        return tag

    @cached_property
    def name(self) -> str:
        return self.kwargs["name"] if self.tag is None else self.tag.name

    @property
    def title(self) -> str:
        return self.name

    @cached_property
    def rows(self) -> list[BudgetRow]:
        return [] if self.tag is None else read_budget_rows(self.tag, self.now)

    @cached_property
    def chosen(self) -> RangeChoice:
        asked = self.request.GET.get("range")
        return choose_range(asked, self.now, time_zone=settings.REPORT_TIME_ZONE)

    @property
    def today(self) -> Any:
        zone = settings.REPORT_TIME_ZONE
        return midnight(self.now.astimezone(open_zone(zone)).date(), zone)

    @cached_property
    def _visible(self) -> frozenset[str] | None:
        return visible_names(self.request.user)

    def may_name(self, tag: str | None) -> bool:
        """An owner reads the names of his own tags."""
        return self._visible is None or tag in self._visible

    def address(self, tab: str | None = None, **asked: str) -> str:
        """Of a tab, with the range that is chosen."""
        tab = tab or self.tab
        if "range" in self.request.GET and "day" not in asked:
            asked = {"range": self.chosen.key, **asked}
        if self.tag is not None:
            path = reverse(f"tag-{tab}", args=[self.tag.pk])
            return f"{path}?{urlencode(asked)}" if asked else path
        return named_address(self.name, **({} if tab == "summary" else {"tab": tab}), **asked)

    def context(self) -> dict[str, Any]:
        names = TABS if self.tag is not None else SEEN_TABS
        rows = self.judged_rows()
        status = None if self.tag is None else status_over(rows, blocked=self.tag.blocked)
        return {
            "tag": self.tag,
            "name": self.name,
            "rows": rows,
            "status": status,
            "tabs": [(TABS[tab], self.address(tab), tab == self.tab) for tab in names],
            "chosen": self.chosen,
            "range_choices": CHOICES.items(),
            "is_limited": any(row.standing.limit is not None for row in self.rows),
            "usage": usage_of(self.name, settings.TOLLGATE_URL),
            "may_create": self.may(CREATE),
            "may_edit": self.may(EDIT),
            "may_describe": self.may(EDIT) or getattr(self.tag, "is_own", False),
            "may_reset": self.may(RESET),
            "may_delete": self.may(DELETE),
            "sees_all": self.may(SEE_ALL),
        }

    def judged_rows(self) -> list[BudgetRow]:
        """Its budgets, with what the pace of the shown one says, so that all pages agree."""
        return with_forecast(self.rows, self.now)


def named_address(name: str, **asked: str) -> str:
    """Of a tag of which only the name is known, as a log row knows it."""
    return f"{reverse('tag-named')}?{urlencode({'name': name, **asked})}"


def new_tag_terms() -> dict[str, Any]:
    """Of the budget of a tag that is made with one click: it counts, and has no limit."""
    return complete_terms({}, None, time_zone=settings.BUDGET_TIME_ZONE)


def adopt(name: str, actor: str) -> Tag | None:
    """None if it is a tag already; then nothing changes."""
    try:
        (tag,) = adopt_tags([name], Changes(budget=new_tag_terms()), actor=actor)
    except TurnedDown:
        return None
    return tag


def was_seen(name: str) -> bool:
    """Whether a call has carried it."""
    return TagSet.objects.filter(tags__contains=[name]).exists()
