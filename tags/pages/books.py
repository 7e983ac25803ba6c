"""Books: the last recount of them, whether everything agrees, and a button for another one."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from kombu.exceptions import OperationalError

from spend.invariants import PROMISES
from spend.models import JobRun
from spend.tasks import reconcile_books
from tags.access import RESET
from tags.pages.page import Page

JOB = "reconcile"
UNREACHABLE = "The jobs cannot be reached, so nothing is counted. Is Redis running?"
ASKED = "The books are being counted again. The result stands here when it is there."


class BooksPage(Page):
    title = "Books"
    template_name = "tags/books.html"
    fragments = {"books": "tags/_books.html"}
    seen_by = ("spend.view_jobrun",)
    done_by = (RESET,)

    def context(self) -> dict[str, Any]:
        run = JobRun.objects.filter(job=JOB).first()
        found = (run.outcome if run else None) or {}
        counts = found.get("counts", {})
        return {
            "run": run,
            "found": found,
            "checked_at": parse_datetime(found["checked_at"]) if found else None,
            "since": parse_datetime(found["since"]) if found.get("since") else None,
            "is_running": run is not None
            and (run.finished_at is None or run.finished_at < run.started_at),
            "promises": [
                (PROMISES[kind], count) for kind, count in counts.items() if kind in PROMISES
            ],
            "differences": [_told(one) for one in found.get("differences", ())],
            "may_run": self.may(RESET),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            reconcile_books.delay()
        except OperationalError:
            return self.say(UNREACHABLE, reverse("books"))
        return self.say(ASKED, reverse("books"))


def _told(difference: dict[str, Any]) -> tuple[str, str]:
    """Its kind, and what it says."""
    rest = {name: value for name, value in difference.items() if name != "kind"}
    return difference["kind"], ", ".join(f"{name} {value}" for name, value in rest.items())
