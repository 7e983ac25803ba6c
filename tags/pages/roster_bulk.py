"""Bulk actions of the list: what would change is listed first; then all of it changes, or none."""

from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from spend.budget_form import parse_limit
from spend.money import Nanos
from spend.status import Status
from tags.bulk import ACTS, TAGS_MAX, Act, Stopped, Wish, change_all
from tags.pages.roster import RosterQuestion, clean_names
from tags.pages.tag_page import new_tag_terms
from tags.roster import Roster, Row, read_roster

SHOWN = 20
PERCENTS = (10, 25, 50)
EXPORT = "export"


class BulkPage(RosterQuestion):
    """A GET shows what it would be, a POST to the same address does it.

    Ticked rows are named; with `all` the filter says which they are, as it stands at that moment.
    """

    title = "Change several tags"
    template_name = "tags/roster_bulk.html"
    fragments = {"dialog": "tags/_roster_bulk.html"}
    problem = ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.GET.get("act") == EXPORT:
            return self._export()
        return self.show()

    def context(self) -> dict[str, Any]:
        return {
            "act": self.act,
            "rows": self.rows[:SHOWN],
            "more": max(0, len(self.rows) - SHOWN),
            "count": len(self.rows),
            "left_out": self.left_out,
            "percents": PERCENTS,
            "users": self._users(),
            "problem": self.problem,
            "too_many": self.too_many,
            "typed": self.request.POST,
            "query": self.request.GET.urlencode(),
            "back": self._back(),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            wish = self._wish()
            if self.too_many or not self.rows:
                raise ValidationError("Select fewer tags, and at least one.")
            change_all(self.act, [row.name for row in self.rows], wish)
        except ValidationError as error:
            return self._refuse(error.messages[0])
        except Stopped as refusal:
            return self._refuse(f"Nothing has changed. {refusal.text}")
        number = len(self.rows)
        text = f"{self.act.text}: {number} tag{'' if number == 1 else 's'}."
        return self.say(text, self._back())

    @cached_property
    def act(self) -> Act:
        found = ACTS.get(self.request.GET.get("act", ""))
        if found is None:
            raise Http404
        if not self.may(found.needs):
            raise PermissionDenied
        return found

    @cached_property
    def _chosen(self) -> Roster:
        names = None
        if not self.request.GET.get("all"):
            names = tuple(clean_names(self.request.GET.getlist("name")))
        return read_roster(self.question(rows=TAGS_MAX, names=names))

    @cached_property
    def rows(self) -> list[Row]:
        """Those that the act is for: tags, or those that nobody has made yet."""
        if self.too_many:
            return []
        chosen = self._chosen.rows
        return [row for row in chosen if (row.status is Status.SEEN) == self.act.of_seen]

    @property
    def too_many(self) -> str:
        """A part is never taken for all that match."""
        if self._chosen.tags <= TAGS_MAX:
            return ""
        return f"{self._chosen.tags:,} tags match, and at most {TAGS_MAX:,} are changed at once."

    @property
    def left_out(self) -> int:
        return len(self._chosen.rows) - len(self.rows)

    def _wish(self) -> Wish:
        """Raises ValidationError for what was typed."""
        posted = self.request.POST
        wish: dict[str, Any] = {"actor": self.actor, "terms": new_tag_terms()}
        match self.act.asks:
            case "limit":
                wish["limit"] = Nanos(parse_limit(posted.get("limit", "")))
            case "percent":
                percent = posted.get("percent", "")
                if percent not in map(str, PERCENTS):
                    raise ValidationError("Choose by how much.")
                wish["percent"] = int(percent)
            case "owner":
                username = posted.get("owner", "").replace("\0", "")
                wish["owner"] = self._users().filter(username=username).first()
                if wish["owner"] is None:
                    raise ValidationError("Choose somebody who may log in.")
        return Wish(**wish)

    def _users(self) -> Any:
        users = get_user_model().objects.filter(is_staff=True, is_active=True)
        return users.order_by("username")

    def _refuse(self, text: str) -> HttpResponse:
        self.problem = text
        return self.show(status=422)

    def _back(self) -> str:
        """The list as it was."""
        query = urlencode(self.asked)
        return f"{reverse('tags')}{f'?{query}' if query else ''}"

    def _export(self) -> HttpResponse:
        asked: list[tuple[str, str]] = list(self.asked.items())
        if not self.request.GET.get("all"):
            names = clean_names(self.request.GET.getlist("name"))
            asked += [("name", name) for name in names]
        address = f"{reverse('tags-export')}?{urlencode(asked)}"
        return (HttpResponseClientRedirect if self.is_part else HttpResponseRedirect)(address)
