"""Keys: the list of them, with how each stands and what it cost in the range."""

from functools import cached_property
from typing import Any

from django.conf import settings

from proxy.key_roster import STATES, KeyRoster, read_key_roster
from spend.range_choices import CHOICES, RangeChoice, choose_range
from tags.pages.page import Page

VIEW, ADD, CHANGE, DELETE, TRY = (
    "proxy.view_apikey", "proxy.add_apikey", "proxy.change_apikey", "proxy.delete_apikey",
    "proxy.try_apikey",
)  # fmt: skip
TEXT_MAX = 128
STATE_WORDS = {
    "active": "Active",
    "over": "Over budget",
    "blocked": "Blocked",
    "expired": "Expired",
}


class KeysPage(Page):
    title = "Keys"
    template_name = "proxy/keys.html"
    seen_by = (VIEW,)
    fragments = {"keys": "proxy/_keys.html"}

    @cached_property
    def asked(self) -> dict[str, str]:
        names = ("q", "state", "tag", "range")
        found = {name: self.request.GET.get(name, "")[:TEXT_MAX] for name in names}
        cleaned = {name: text.replace("\0", "").strip() for name, text in found.items()}
        if cleaned["state"] not in STATES:
            cleaned["state"] = ""
        return cleaned

    @cached_property
    def chosen(self) -> RangeChoice:
        return choose_range(self.asked["range"], self.now, time_zone=settings.REPORT_TIME_ZONE)

    def context(self) -> dict[str, Any]:
        roster = self._roster()
        return {
            "roster": roster,
            "asked": self.asked,
            "chips": [(state, STATE_WORDS[state], roster.counts[state]) for state in STATE_WORDS],
            "chosen": self.chosen,
            "range_choices": CHOICES.items(),
            "is_filtered": any(self.asked[name] for name in ("q", "state", "tag")),
            "may_add": self.may(ADD),
            "may_change": self.may(CHANGE),
            "may_delete": self.may(DELETE),
        }

    def _roster(self) -> KeyRoster:
        return read_key_roster(
            self.chosen.covered,
            self.now,
            text=self.asked["q"],
            state=self.asked["state"],
            tag=self.asked["tag"],
            after=self.request.GET.get("after", "").replace("\0", "") or None,
        )
