"""Page: what every page has in common: login, permissions, one look at the books, one template.

A GET reads in one snapshot of the database, so that all numbers of a page agree while calls
arrive; it writes nothing, and no statement of it takes longer than READ_SECONDS_MAX.
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views import View
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from spend.rollover import database_now

READ_SECONDS_MAX = 5
# What pages read is at the near end of an index, and in memory; else a whole table may be read.
# What they sum up fits into memory too; by default it would go to the disk.
LOCALLY = """
select set_config('statement_timeout', %s, true), set_config('random_page_cost', '1.1', true),
       set_config('work_mem', '64MB', true), clock_timestamp()
"""


class Page(View):
    """A page and its parts. Subclasses say what stands in `context()`."""

    title = ""
    template_name: str
    # Of an htmx target's id, the template that fills it: a file that the page includes.
    fragments: Mapping[str, str] = {}
    # Any of these may see it; none named: whoever may log in. Who may not is told 404.
    seen_by: tuple[str, ...] = ()
    # Any of these may POST; who may not is told 403.
    done_by: tuple[str, ...] = ()
    # A file that is written while it is sent has a snapshot of its own.
    is_streamed = False

    def context(self) -> dict[str, Any]:
        """What the template needs beside title, now and the time zone."""
        return {}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.show()

    def show(self, *, template: str | None = None, status: int = 200, **more: Any) -> HttpResponse:
        """The page, or the part of it that htmx asks for; with `template` that one."""
        context = {
            **admin.site.each_context(self.request),
            "is_nav_sidebar_enabled": False,
            "page": self,
            "title": self.title,
            "now": self.now,
            "time_zone": settings.REPORT_TIME_ZONE,
            **self.context(),
            **more,
        }
        answer = TemplateResponse(
            self.request, template or self._template(), context, status=status
        )
        return answer.render()

    def say(self, text: str, address: str) -> HttpResponse:
        """After a form: the sentence stands on the page that is shown next."""
        messages.success(self.request, text)
        if self.is_part:
            return HttpResponseClientRedirect(address)
        return HttpResponseRedirect(address)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks; then an answer may be a part of a page."""
        return bool(self.request.htmx) and not self.request.htmx.history_restore_request

    @cached_property
    def now(self) -> datetime:
        """By the database's clock, read once."""
        return database_now()

    @property
    def actor(self) -> str:
        """Whom the audit names."""
        return self.request.user.get_username()

    def may(self, *permissions: str) -> bool:
        """Whether the user has any of them."""
        return any(self.request.user.has_perm(name) for name in permissions)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not admin.site.has_permission(request):
            return to_login(request)
        self._turn_away(request)
        reads = request.method in ("GET", "HEAD") and not self.is_streamed
        reading = snapshot() if reads else no_snapshot()
        with timezone.override(settings.REPORT_TIME_ZONE), reading as read_at:
            if read_at is not None:
                self.now = read_at
            answer = super().dispatch(request, *args, **kwargs)
        patch_vary_headers(answer, ["HX-Request"])
        add_never_cache_headers(answer)
        return answer

    def _turn_away(self, request: HttpRequest) -> None:
        if self.seen_by and not self.may(*self.seen_by):
            raise Http404
        if request.method == "POST" and self.done_by and not self.may(*self.done_by):
            raise PermissionDenied

    def _template(self) -> str:
        target = self.request.htmx.target if self.is_part else None
        return self.fragments.get(target or "", self.template_name)


def to_login(request: HttpRequest) -> HttpResponse:
    """With the way back. A part sends the whole window there: no form lands in a table."""
    login = reverse("admin:login")
    if not request.htmx:
        return redirect_to_login(request.get_full_path(), login)
    here = urlsplit(request.htmx.current_url or "")
    back = f"{here.path or '/'}{f'?{here.query}' if here.query else ''}"
    return HttpResponseClientRedirect(redirect_to_login(back, login).url)


def saying(answer: HttpResponse, text: str, *, kind: str = "success") -> HttpResponse:
    """An answer to htmx that also says so, in the page's one status region."""
    return trigger_client_event(answer, "said", {"text": text, "kind": kind})


def closing(answer: HttpResponse) -> HttpResponse:
    """An answer to htmx after which the open dialog closes."""
    return trigger_client_event(answer, "done")


@contextlib.contextmanager
def snapshot() -> Iterator[datetime | None]:
    """All reads see the same moment, which is told. In tests, a transaction's."""
    if connection.in_atomic_block:
        yield None
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute(LOCALLY, [_milliseconds()])
            *_, read_at = cursor.fetchone()
        yield read_at


@contextlib.contextmanager
def no_snapshot() -> Iterator[None]:
    """Verbs have transactions of their own."""
    yield


def _milliseconds() -> str:
    return str(READ_SECONDS_MAX * 1_000)
