"""Overview: how all spend stands, which budgets need somebody, and what else does.

An owner, who sees no grand totals, has his tags as cards.
"""

from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from spend.attention import Notice
from spend.comparison import change_percent
from spend.in_flight import read_in_flight
from spend.overview import (
    Line,
    Overview,
    Stack,
    Sums,
    read_month_outlook,
    read_overview,
)
from spend.range_choices import CHOICES, RangeChoice, choose_range
from spend.ranges import days_of
from spend.status import Status
from tags.access import EDIT, sees_all
from tags.bill import Bill
from tags.pages.page import Page
from tags.pages.tag_charts import name_of, stack_range
from tags.pages.tag_page import named_address
from tags.pages.usage import usage_of
from tags.roster import Question, Roster, complete, complete_budgets, read_roster

STACKS: tuple[Stack, ...] = ("model", "key")
NEEDY = (Status.OVER_BUDGET, Status.AT_RISK, Status.FORECAST_OVER)
NEEDY_SHOWN = 6
FIRST_TAG = "team:search"


class OverviewPage(Page):
    title = "Overview"
    template_name = "tags/overview.html"
    fragments = {"overview": "tags/_overview.html"}

    @cached_property
    def chosen(self) -> RangeChoice:
        asked = self.request.GET.get("range")
        return choose_range(asked, self.now, time_zone=settings.REPORT_TIME_ZONE)

    @property
    def stack(self) -> Stack:
        asked = self.request.GET.get("by")
        return next((stack for stack in STACKS if stack == asked), STACKS[0])

    def context(self) -> dict[str, Any]:
        everybodys = sees_all(self.request.user)
        shared = {
            "everybodys": everybodys,
            "chosen": self.chosen,
            "range_choices": CHOICES.items(),
            "stack": self.stack,
            "stacks": STACKS,
            "may_edit": self.may(EDIT),
        }
        return shared | (self._everything() if everybodys else self._own())

    def _own(self) -> dict[str, Any]:
        roster = self._roster(owner_id=self.request.user.pk)
        complete(roster.rows, self.now)
        return {"roster": roster}

    def _everything(self) -> dict[str, Any]:
        found = read_overview(self.chosen.covered, self.chosen.before, stack=self.stack)
        if found.first_at is None:
            usage = usage_of(FIRST_TAG, settings.TOLLGATE_URL)
            return {
                "found": found,
                "is_empty": True,
                "usage": usage,
                "key_address": _first_of("keys", KEYS),
            }
        roster = self._roster()
        needy = [row for row in roster.rows if row.status in NEEDY][:NEEDY_SHOWN]
        complete_budgets(needy, self.now)
        return {
            "found": found,
            "bill": Bill(found.total.cost, found.total.requests, found.untagged),
            "failed_share": failed_share(found.total),
            "change": change_percent(found.total.cost, found.before.cost),
            "calls_change": change_percent(found.total.requests, found.before.requests),
            "outlook": read_month_outlook(self.now, found.first_at),
            "days": stack_range(
                ((line.day, name_of(line), line.cost) for line in found.days),
                found.first_at,
                self.chosen.covered,
                settings.REPORT_TIME_ZONE,
                self._day,
            ),
            "changes": list(_changes(found)),
            "top_tags": [(tag.name, tag.cost, named_address(tag.name), "") for tag in found.tags],
            "top_keys": [
                (name_of(key), key.cost, self.logs(key=key.name), "")
                if key.name
                else (name_of(key), key.cost, "", "")
                for key in found.keys
            ],
            "needy": needy,
            "needy_counts": [
                (status, roster.counts[status]) for status in NEEDY if roster.counts.get(status)
            ],
            "notices": list(self._notices(roster, found)),
            "in_flight": read_in_flight(),
            "addresses": {
                "logs": self.logs(),
                "failed": self.logs(status="failure"),
                "refused": self.logs(status="refused"),
                "untagged": self.logs(untagged="on"),
                "report": self._report(),
            },
        }

    def logs(self, **asked: Any) -> str:
        """The calls behind a number, of the range that is chosen."""
        first, last = days_of(self.chosen.covered, settings.REPORT_TIME_ZONE)
        return f"{reverse('logs')}?{urlencode({'first': first, 'last': last, **asked})}"

    def _report(self) -> str:
        try:
            return f"{reverse('reports')}?{urlencode({'range': self.chosen.key})}"
        except NoReverseMatch:
            return self.logs()

    def _day(self, day: date, until: date) -> str:
        return f"{reverse('logs')}?{urlencode({'first': day, 'last': until})}"

    def _roster(self, owner_id: int | None = None) -> Roster:
        """With the highest share used first, so that those who need somebody are among them."""
        return read_roster(Question(covered=self.chosen.covered, now=self.now, owner_id=owner_id))

    def _notices(self, roster: Roster, found: Overview) -> Iterator[Notice]:
        seen = roster.counts.get(Status.SEEN, 0)
        if seen:
            words = "tags that calls carry are" if seen > 1 else "tag that calls carry is"
            address = f"{reverse('tags')}?status=seen"
            yield Notice(f"{seen} {words} not registered: no budget can hold them.", address)
        if found.more_than_once < 0:
            address = f"{reverse('tags')}"
            yield Notice("The sums by tag are less than the bill: run reconcile.", address)
        for path in settings.NEEDS_ATTENTION:
            yield from import_string(path)(self.request.user, self.now)


KEYS = "admin:proxy_apikey_add"


def _first_of(*names: str) -> str:
    """The first address that there is."""
    for name in names:
        try:
            return reverse(name)
        except NoReverseMatch:
            continue
    raise NoReverseMatch(names)


def _changes(found: Overview) -> Iterator[tuple[Line, int | None, str]]:
    """A tag, by how many percent it changed, or None for one that is new; its address."""
    for line in found.changes:
        if line.name is not None:
            yield line, change_percent(line.cost, line.before), named_address(line.name)


def failed_share(sums: Sums) -> str:
    """`0.4%` of the calls that were let in, rounded down to a tenth."""
    thousandths = 1_000 * sums.failed // sums.requests if sums.requests else 0
    return f"{thousandths // 10}.{thousandths % 10}%"
