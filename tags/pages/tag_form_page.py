"""TagFormPage: a tag as a form, with the live preview of its budget at the same address.

`preview=1` answers what the terms that are typed would have done, and writes nothing; `add=further`
gives the form one more budget, and writes nothing either.
"""

from functools import cached_property
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from spend.budgets import TERMS
from spend.models import Budget
from spend.standings import Standing
from tags.changes import Changes
from tags.draws import FURTHER_MAX, split_draws
from tags.errors import Stale, TurnedDown
from tags.models import Tag
from tags.names import BadTag, clean_tag
from tags.pages.tag_page import TagPage, was_seen
from tags.pages.usage import usage_of
from tags.preview import Preview, read_preview
from tags.tag_form import FurtherForm, FurtherFormSet, TagPageForm

FURTHER = "further"
EXAMPLE = "team:search"
CHANGE_KEYS = "proxy.change_apikey"
FIELDS_OF = {"shared_budget_ids": "pots", "name": "name", "keys": "keys"}


class TagFormPage(TagPage):
    """What creating and editing have in common."""

    tab = "summary"
    template_name = "tags/tag_form.html"
    fragments = {"preview": "tags/_tag_preview.html", "named": "tags/_tag_named.html"}
    conflict: Any = None
    asks_again = False

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "form": self.form,
            "further": self.further,
            "preview": self.preview,
            "conflict": self.conflict,
            "asks_again": self.asks_again,
            "typed_name": self.typed_name,
            "named": self._named(),
            "may_set_keys": self.may(CHANGE_KEYS),
            "error_list": self._errors(),
            "usage": usage_of(self.typed_name or EXAMPLE, settings.TOLLGATE_URL),
        }

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "preview" in request.POST or "add" in request.POST:
            return self.show()
        if not (self.form.is_valid() & self.further.is_valid()):
            return self.show(status=422)
        if self.preview is not None and self.preview.refuses_all and not self._is_confirmed():
            self.asks_again = True
            return self.show(status=422)
        try:
            return self.save()
        except Stale:
            self.conflict = self._conflict()
            return self.show(status=409)
        except TurnedDown as refusal:
            field = (refusal.field or "").split("[")[0]
            self.form.add_error(FIELDS_OF.get(field), _sentence(refusal.text))
            return self.show(status=422)

    def save(self) -> HttpResponse:
        raise NotImplementedError

    # -- forms -----------------------------------------------------------------------------------

    @cached_property
    def form(self) -> TagPageForm:
        return TagPageForm(self.data, instance=self.tag, initial=self.initial())

    @cached_property
    def further(self) -> Any:
        return FurtherFormSet(self.data, budgets=self.further_budgets, prefix=FURTHER)

    @cached_property
    def further_budgets(self) -> list[Budget]:
        return [] if self.tag is None else split_draws(self.tag.draws.all())[0]

    @cached_property
    def data(self) -> Any:
        """What was sent; with one more budget where that was asked for."""
        if self.request.method != "POST":
            return None
        sent = self.request.POST.copy()
        count = sent.get(f"{FURTHER}-TOTAL_FORMS", "0")
        if "add" in sent and count.isdigit() and int(count) < FURTHER_MAX:
            blank = FurtherForm(prefix=f"{FURTHER}-{count}")
            for bound in blank:
                sent[bound.html_name] = bound.value() or ""
            sent[f"{FURTHER}-TOTAL_FORMS"] = str(int(count) + 1)
        return sent

    def initial(self) -> dict[str, Any]:
        return {}

    @property
    def typed_name(self) -> str:
        """The one form of what stands in the name's field; empty where that is no name."""
        if self.tag is not None:
            return self.tag.name
        typed = self.request.POST.get("name") or self.request.GET.get("name", "")
        try:
            return clean_tag(typed)
        except BadTag:
            return ""

    def wanted(self) -> Changes:
        further = self.further.wanted()
        return self.form.changes(further)

    def set_keys(self, name: str) -> None:
        """Which keys always carry it, for who may change keys."""
        if self.may(CHANGE_KEYS):
            keys = self.form.cleaned_data["keys"]
            import_module(settings.TAG_CARRIERS).set_carriers(name, keys, actor=self.actor)

    # -- preview ---------------------------------------------------------------------------------

    @cached_property
    def preview(self) -> Preview | None:
        """None while the terms are not valid."""
        terms = self._terms()
        if terms is None:
            return None
        return read_preview(
            self.typed_name, terms, self.now, budget=self.own_budget, standing=self.standing
        )

    @property
    def own_budget(self) -> Budget | None:
        return None if self.tag is None else self.tag.budget

    @property
    def standing(self) -> Standing | None:
        return self.rows[0].standing if self.rows else None

    def _terms(self) -> Any:
        if self.data is not None:
            self.form.is_valid()
            return getattr(self.form, "terms", None)
        if self.own_budget is None:
            return None
        return {term: getattr(self.own_budget, term) for term in TERMS}

    def _named(self) -> dict[str, Any]:
        """What is known of the name that is typed: taken, or seen in traffic."""
        if self.tag is not None or not self.typed_name:
            return {}
        taken = Tag.objects.filter(name=self.typed_name).only("pk").first()
        return {"taken": taken, "seen": taken is None and was_seen(self.typed_name)}

    def _errors(self) -> list[tuple[str, str, str]]:
        """Where each field is, what it is called, what is wrong; while typing, none are told."""
        if self.data is None or "preview" in self.data or "add" in self.data:
            return []
        forms = [self.form, *(one for one in self.further if one.errors)]
        return [
            (anchor_of(form, field), label_of(form, field), text)
            for form in forms
            for field, texts in form.errors.items()
            for text in texts
        ]

    def _is_confirmed(self) -> bool:
        return self.request.POST.get("confirmed") == "yes"

    def _conflict(self) -> dict[str, Any]:
        return {}


def anchor_of(form: Any, field: str) -> str:
    """The id of the control that is wrong; of a choice, that of its first one."""
    if field not in form.fields:
        return ""
    bound = form[field]
    return bound.id_for_label or f"{bound.auto_id}_0"


def label_of(form: Any, field: str) -> str:
    return str(form[field].label) if field in form.fields else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
