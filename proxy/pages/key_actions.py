"""Actions on one key: block, unblock, regenerate, delete. Each is a page first, then a dialog."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from proxy.actions import delete_keys, regenerate_key, set_blocked
from proxy.pages.key_form_page import reveal
from proxy.pages.key_page import KeyPage
from proxy.pages.keys import CHANGE, DELETE
from spend.ranges import Range
from spend.reports import Scope, total

GRACES = {
    "": "at once",
    "1h": "after one hour",
    "1d": "after one day",
    "7d": "after seven days",
}
LENGTHS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}
HOUR = timedelta(hours=1)
NOT_THE_NAME = "That is not the key's name."


class KeyAction(KeyPage):
    """GET asks, POST does. `problems` are by field; with any the form comes back, 422."""

    template_name = "proxy/key_action.html"
    needs: str = CHANGE
    problems: dict[str, str] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.done_by = (self.needs,)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(self.needs):
            raise PermissionDenied
        return self.show()

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "problems": self.problems,
            "part": self.fragments["dialog"],
            "back": self.address(),
            "calls_text": self._calls_text(),
        }

    def refuse(self, **problems: str) -> HttpResponse:
        self.problems = problems
        return self.show(status=422)

    def _calls_text(self) -> str:
        """Who would notice: its calls since the hour before this one began."""
        since = self.now.replace(minute=0, second=0, microsecond=0) - HOUR
        covered = Range(since, self.now + HOUR, is_whole_days=False)
        calls = total(Scope(covered=covered, key_id=self.key.pk)).calls
        if not calls:
            return "It made no call in the last hour."
        return f"It made {calls:,} call{'' if calls == 1 else 's'} since {since:%H:%M}."


class BlockKey(KeyAction):
    fragments = {"dialog": "proxy/_key_block.html"}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        set_blocked(self.key.pk, True, actor=self.actor)
        text = f"Calls with {self.name} are refused within a second. Unblock at any time."
        return self.say(text, self.address())


class UnblockKey(KeyAction):
    fragments = {"dialog": "proxy/_key_unblock.html"}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        set_blocked(self.key.pk, False, actor=self.actor)
        text = f"Calls with {self.name} are admitted again, as far as their budgets go."
        return self.say(text, self.address())


class RegenerateKey(KeyAction):
    """Its answer holds the new secret, so it is a whole page, never a part of one."""

    fragments = {"dialog": "proxy/_key_regenerate.html"}

    def context(self) -> dict[str, Any]:
        chosen = self.request.POST.get("grace", "")
        return {**super().context(), "graces": GRACES.items(), "chosen": chosen}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.POST.get("ending") != self.key.ending:
            # The page was loaded again, or somebody else was quicker.
            return HttpResponseRedirect(self.address())
        grace = LENGTHS.get(request.POST.get("grace", ""))
        key, secret = regenerate_key(self.key.pk, grace=grace, actor=self.actor)
        return reveal(self, key, secret, title=f"New secret of {key}")


class DeleteKey(KeyAction):
    needs = DELETE
    fragments = {"dialog": "proxy/_key_delete.html"}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.POST.get("name", "").strip() != self.name:
            return self.refuse(name=NOT_THE_NAME)
        delete_keys([self.key.pk], actor=self.actor)
        text = f"{self.name} is deleted and stops within a second. Its log rows stay."
        return self.say(text, reverse("keys"))
