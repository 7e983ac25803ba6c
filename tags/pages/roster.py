"""Tag Management: the list of tags, its filters, its CSV file, and adopting with one click."""

import csv
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)

from spend.csv_cells import inert
from spend.money import dollars_text
from spend.range_choices import CHOICES, MONTH_TO_DATE, RangeChoice, choose_range
from spend.status import Status, percent_used
from tags.access import CREATE, DELETE, EDIT, RESET, TRY, sees_all
from tags.bill import Bill
from tags.bulk import ACTS
from tags.names import BadTag, clean_tag
from tags.pages.page import Page, saying
from tags.pages.tag_page import ADOPTED, adopt, was_seen
from tags.roster import BadPlace, Place, Question, Roster, complete, read_roster

TEXT_MAX = 128
SORTS = {
    "used": "% used",
    "forecast": "Forecast",
    "spend": "Spend",
    "calls": "Calls",
    "name": "Name",
    "reset": "Next reset",
}
# Words of the address, and the status that each stands for, in the order of the chips.
STATUSES = {
    "over": Status.OVER_BUDGET,
    "risk": Status.AT_RISK,
    "forecast": Status.FORECAST_OVER,
    "ok": Status.ON_TRACK,
    "free": Status.TRACKED,
    "blocked": Status.BLOCKED,
    "seen": Status.SEEN,
}
FILTERS = ("status", "q", "owner", "prefix", "sort", "range")
USUAL = {"sort": "used", "range": MONTH_TO_DATE}  # what need not be said
EXPORT_HEAD = (
    "tag", "status", "owners", "budget", "limit", "spent", "reserved", "percent_used", "resets_at",
    "forecast", "spend_in_range", "calls_in_range", "description",
)  # fmt: skip


class RosterQuestion(Page):
    """The list that the address asks for: what is nonsense in it counts as not said."""

    @cached_property
    def asked(self) -> dict[str, str]:
        found = {name: self.request.GET.get(name, "")[:TEXT_MAX] for name in FILTERS}
        cleaned = {name: value.replace("\0", "").strip() for name, value in found.items()}
        return {
            name: value for name, value in cleaned.items() if value and value != USUAL.get(name)
        }

    @cached_property
    def chosen(self) -> RangeChoice:
        return choose_range(self.asked.get("range"), self.now, time_zone=settings.REPORT_TIME_ZONE)

    def question(self, **more: Any) -> Question:
        user = self.request.user
        return Question(
            covered=self.chosen.covered,
            now=self.now,
            status=STATUSES.get(self.asked.get("status", "")),
            text=self.asked.get("q", ""),
            owner=self.asked.get("owner"),
            prefix=self.asked.get("prefix"),
            owner_id=None if sees_all(user) else user.pk,
            sort=self.asked.get("sort", "used"),
            **more,
        )


class RosterPage(RosterQuestion):
    title = "Tag Management"
    template_name = "tags/roster.html"
    fragments = {"roster": "tags/_roster.html", "listing": "tags/_roster_listing.html"}

    def context(self) -> dict[str, Any]:
        roster = read_roster(self.question(**self._place()))
        complete(roster.rows, self.now)
        everybodys = sees_all(self.request.user)
        bill = roster.bill if everybodys else None
        return {
            "roster": roster,
            "bill": bill,
            "more_than_once": more_than_once(roster, bill) if self._is_whole() else None,
            "chips": list(self._chips(roster)),
            "all_count": sum(roster.counts.values()),
            "seen_count": 0 if roster.rows else self._seen_count(),
            "asked": self.asked,
            "is_filtered": bool(self.asked.keys() - {"sort", "range"}),
            "sorts": SORTS.items(),
            "sort": self.asked.get("sort") if self.asked.get("sort") in SORTS else "used",
            "range_choices": CHOICES.items(),
            "chosen": self.chosen,
            "everybodys": everybodys,
            "bulk_acts": [
                *((name, act.text) for name, act in ACTS.items() if self.may(act.needs)),
                ("export", "Export"),
            ],
            "may_edit": self.may(EDIT),
            "may_create": self.may(CREATE),
            "may_reset": self.may(RESET),
            "may_delete": self.may(DELETE),
            "may_try": self.may(TRY),
        }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = self.show()
        if self.is_part and request.htmx.trigger in ("filters", "ranges"):
            answer["HX-Push-Url"] = self.address()  # without what was left empty
        return answer

    def address(self) -> str:
        query = f"?{urlencode(self.asked)}" if self.asked else ""
        return f"{self.request.path}{query}"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Adopt a tag that was seen; a second click finds it made, and harms nothing."""
        if not self.may(CREATE):
            raise PermissionDenied
        name = request.POST.get("adopt", "")
        if "\0" in name or not was_seen(name):
            return HttpResponseRedirect(request.get_full_path())
        tag = adopt(name, self.actor)
        text = ADOPTED.format(name=name) if tag else f"{name} is a tag already."
        if self.is_part:
            return saying(self.show(focused=tag and tag.pk), text)
        return self.say(text, request.get_full_path())

    def _place(self) -> dict[str, Place]:
        """What is no cursor, or one of yesterday's making, leads to the first page."""
        for name in ("before", "after"):
            if name in self.request.GET:
                try:
                    return {name: Place.of_cursor(self.request.GET[name])}
                except BadPlace:
                    return {}
        return {}

    def _seen_count(self) -> int:
        """Of all, for whom finds nothing by what he searches."""
        whole = Question(
            covered=self.chosen.covered, now=self.now, owner_id=self.question().owner_id, rows=1
        )
        return read_roster(whole).counts.get(Status.SEEN, 0)

    def _is_whole(self) -> bool:
        """Whether the rows are all tags, so that their sum can be compared with the bill."""
        return not (self.asked.keys() - {"sort", "range"})

    def _chips(self, roster: Roster) -> Iterator[tuple[str, Status, int]]:
        for word, status in STATUSES.items():
            count = roster.counts.get(status, 0)
            if count or self.asked.get("status") == word:
                yield word, status, count


class RosterExport(RosterQuestion):
    """All that match, as CSV: exact dollars, no page."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        names = tuple(clean_names(request.GET.getlist("name"))) or None
        roster = read_roster(self.question(rows=None, names=names))
        complete(roster.rows, self.now)
        lines = list(export_lines(roster))
        day = self.now.strftime("%Y-%m-%d")
        return StreamingHttpResponse(
            lines,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="tags-{day}.csv"'},
        )


class Echo:
    """What csv writes into: the line itself is wanted."""

    def write(self, line: str) -> str:
        return line


def export_lines(roster: Roster) -> Iterator[str]:
    """Amounts are dollars with up to nine decimals; what others wrote cannot run in a cell."""
    writer = csv.writer(Echo())
    yield writer.writerow(EXPORT_HEAD)
    for row in roster.rows:
        forecast = row.forecast
        yield writer.writerow(
            (
                inert(row.name),
                row.status.value.word,
                inert(", ".join(row.owners)),
                inert(row.budget.public_id if row.budget and row.is_pot else ""),
                "" if row.limit is None else dollars_text(row.limit),
                dollars_text(row.spent),
                dollars_text(row.reserved),
                percent_used(row.limit, row.spent),
                row.resets_at.isoformat() if row.resets_at else "",
                "" if forecast is None else dollars_text(forecast.middle),
                dollars_text(row.cost),
                row.requests,
                inert(row.description),
            )
        )


def more_than_once(roster: Roster, bill: Bill | None) -> int | None:
    """What calls with several tags add to the sum of the rows."""
    return None if bill is None else roster.cost + bill.untagged - bill.cost


def clean_names(given: Iterable[str]) -> list[str]:
    """Names of tags, each once; what cannot be one is none."""
    found = []
    for text in given:
        try:
            found.append(clean_tag(text))
        except BadTag:
            continue
    return [name for name in dict.fromkeys(found) if name]
