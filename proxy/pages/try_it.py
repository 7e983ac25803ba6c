"""Try it: what a call would cost, and whether it would be admitted; or a real one."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from proxy.calculation import calculate
from proxy.catalogue import load_catalogue
from proxy.errors import Failure
from proxy.key_cards import KeyCard, card_of
from proxy.models import APIKey
from proxy.pages.keys import TRY, VIEW
from proxy.tagging import check_key_rules
from proxy.trial import TrialAnswer, send_trial
from proxy.try_form import TryForm
from spend.log_search import find_row
from spend.models import SpendLog
from spend.money import Nanos, parse_dollars
from tags.models import Tag
from tags.pages.page import Page

ROW_SECONDS_MAX = 3.0  # bills linger a little before they are in the log
ROW_SECONDS_STEP = 0.05
PYTHON = """\
from openai import OpenAI

client = OpenAI(api_key="sk-...", base_url={server})
answer = client.chat.completions.create(
    model={model},
    messages={messages},
    max_tokens={output},{tags}
)
print(answer.choices[0].message.content)"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A budget that the call draws on; `after` is known once it was charged."""

    budget_id: str
    name: str
    spent: int
    limit: int | None
    requested: int
    after: int | None = None

    @property
    def has_room(self) -> bool:
        return self.limit is None or self.spent + self.requested <= self.limit


@dataclass(frozen=True, slots=True)
class Checked:
    """What would happen, at this moment. `refusal` says why it would not be admitted."""

    tags: Sequence[tuple[str, str]]  # and where each came from
    expected: int | None
    bound: int | None
    drawn: Sequence[Drawn]
    refusal: str


class TryPage(Page):
    title = "Try it"
    template_name = "proxy/try.html"
    fragments = {"tried": "proxy/_tried.html"}
    seen_by = (VIEW,)
    checked: Checked | None = None
    answer: TrialAnswer | None = None
    row: SpendLog | None = None

    @cached_property
    def form(self) -> TryForm:
        models = list(load_catalogue().names())
        if self.request.method == "POST":
            return TryForm(self.request.POST, models=models)
        return TryForm(initial=self._initial(), models=models)

    def context(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "has_all": self.form.has_choices,
            "may_send": self.may(TRY),
            "checked": self.checked,
            "answer": self.answer,
            "row": self.row,
            "row_address": reverse("log", args=[self.row.pk]) if self.row else "",
            "curl": self._curl() if self.form.is_bound and self.form.is_valid() else "",
            "python": self._python() if self.form.is_bound and self.form.is_valid() else "",
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        sends = "send" in request.POST
        if sends and not self.may(TRY):
            raise PermissionDenied
        if not self.form.is_valid():
            return self.show(status=422)
        key: APIKey = self.form.cleaned_data["key"]
        card = card_of(APIKey.objects.with_budgets().get(pk=key.pk))
        body = self.form.body()
        self.checked = check(body, self.form.cleaned_data["tags"], card)
        if sends:
            self.answer = send_trial(key, body, actor=self.actor)
            self.row = await_row(self.answer.request_id)
            after = check(body, self.form.cleaned_data["tags"], card)
            self.checked = with_after(self.checked, after)
        return self.show()

    def _initial(self) -> dict[str, Any]:
        key, tag, model = (
            self.request.GET.get(name, "").replace("\0", "") for name in ("key", "tag", "model")
        )
        return {"key": key or None, "tags": tag, "model": model}

    def _curl(self) -> str:
        body = shlex.quote(json.dumps(self.form.body(), ensure_ascii=False))
        address = shlex.quote(f"{settings.TOLLGATE_URL}/v1/chat/completions")
        return (
            f"curl {address} \\\n  -H 'Authorization: Bearer sk-...' \\\n"
            f"  -H 'Content-Type: application/json' \\\n  -d {body}"
        )

    def _python(self) -> str:
        body = self.form.body()
        tags = ""
        if "metadata" in body:
            shown = json.dumps(body["metadata"]["tags"], ensure_ascii=False)
            tags = f'\n    extra_body={{"metadata": {{"tags": {shown}}}}},'
        return PYTHON.format(
            server=json.dumps(f"{settings.TOLLGATE_URL}/v1"),
            model=json.dumps(body["model"], ensure_ascii=False),
            messages=json.dumps(body["messages"], ensure_ascii=False),
            output=body["max_tokens"],
            tags=tags,
        )


def check(body: Mapping[str, Any], brought: Sequence[str], key: KeyCard) -> Checked:
    """Nothing is held and nothing is sent."""
    names = list(dict.fromkeys([*brought, *key.default_tags]))
    tags = [(name, "you" if name in brought else "key default") for name in names]
    refusal = _refusal(key, brought, names)
    try:
        found = calculate(body, names, key)
    except Failure as failure:
        return Checked(tags, None, None, [], refusal or failure.message)
    drawn = [_drawn(budget) for budget in found["budgets"]]
    if not refusal and not found["admitted"]:
        full = next((one.name for one in drawn if not one.has_room), drawn[0].name)
        refusal = f"The budget of {full} has no room for it."
    bound = None if found["upper_bound"] is None else _nanos(found["upper_bound"])
    return Checked(tags, _nanos(found["cost"]), bound, drawn, refusal)


def with_after(before: Checked, after: Checked) -> Checked:
    """The budgets as they stood before the call, and what each has spent since."""
    spent = {one.budget_id: one.spent for one in after.drawn}
    drawn = [replace(one, after=spent.get(one.budget_id)) for one in before.drawn]
    return replace(before, drawn=drawn)


def await_row(request_id: str) -> SpendLog | None:
    """The call's row in the log, once it is there."""
    if not request_id:
        return None
    deadline = monotonic() + ROW_SECONDS_MAX
    while True:
        row = find_row(request_id, seen_by=None)
        if row is not None or monotonic() > deadline:
            return row
        sleep(ROW_SECONDS_STEP)


def _refusal(key: KeyCard, brought: Sequence[str], names: Sequence[str]) -> str:
    """What the rules say, before any budget is asked."""
    try:
        if brought and settings.REJECT_CLIENT_TAGS:
            return "Tags are set by the operator here; a call may not bring its own."
        check_key_rules(key, brought, names)
    except Failure as failure:
        return failure.message
    known = dict(Tag.objects.filter(name__in=names).values_list("name", "blocked"))
    for name in names:
        if known.get(name):
            return f"The tag '{name}' is blocked."
        if name not in known and settings.UNKNOWN_TAGS == "reject":
            return f"The tag '{name}' is not known."
    return ""


def _drawn(budget: Mapping[str, Any]) -> Drawn:
    whose = budget["tag"] or (f"key {budget['key_alias']}" if budget["key_alias"] else "the key")
    period = f", {budget['duration']}" if budget["duration"] else ""
    limit = budget["limit"]
    return Drawn(
        budget_id=budget["budget_id"],
        name=f"{whose}{period}",
        spent=_nanos(budget["spent"]),
        limit=None if limit is None else _nanos(limit),
        requested=_nanos(budget["requested"]),
    )


def _nanos(dollars: object) -> Nanos:
    return parse_dollars(dollars)
