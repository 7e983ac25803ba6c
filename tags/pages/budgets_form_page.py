"""BudgetsFormPage: a form of whatever owns budgets, with a live preview at the same address.

`preview=1` answers what the terms that are typed would have done, and writes nothing; `add=further`
gives the form one more budget, and writes nothing either.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse

from spend.buckets import Payers
from spend.budgets import TERMS
from spend.models import Budget
from spend.standings import Standing
from tags.changes import Changes
from tags.draws import FURTHER_MAX
from tags.errors import Stale, TurnedDown
from tags.pages.page import Page
from tags.preview import Preview, read_preview
from tags.tag_form import FurtherForm, FurtherFormSet

FURTHER = "further"


class BudgetsFormPage(Page):
    """Subclasses say which form, whose budgets, and what saving is."""

    form: Any
    fields_of: Mapping[str, str] = {}  # of a refusal's field, the form's
    conflict: Any = None
    asks_again = False

    # -- what subclasses say -----------------------------------------------------------------------

    def save(self) -> HttpResponse:
        raise NotImplementedError

    @property
    def payers(self) -> Payers:
        """Whose past is tested; nobody's while nothing is known of them."""
        return Payers()

    @property
    def own_budget(self) -> Budget | None:
        return None

    @property
    def standing(self) -> Standing | None:
        return None

    @property
    def further_budgets(self) -> list[Budget]:
        return []

    def what_stands(self) -> dict[str, Any]:
        """For who typed while somebody else saved."""
        return {}

    # -- the page --------------------------------------------------------------------------------

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "form": self.form,
            "further": self.further,
            "preview": self.preview,
            "conflict": self.conflict,
            "asks_again": self.asks_again,
            "error_list": self._errors(),
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
            self.conflict = self.what_stands()
            return self.show(status=409)
        except TurnedDown as refusal:
            field = (refusal.field or "").split("[")[0]
            self.form.add_error(self.fields_of.get(field), _sentence(refusal.text))
            return self.show(status=422)

    @cached_property
    def further(self) -> Any:
        return FurtherFormSet(self.data, budgets=self.further_budgets, prefix=FURTHER)

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

    def wanted(self) -> Changes:
        further = self.further.wanted()
        return self.form.changes(further)

    @cached_property
    def preview(self) -> Preview | None:
        """None while the terms are not valid."""
        terms = self._terms()
        if terms is None:
            return None
        return read_preview(
            self.payers, terms, self.now, budget=self.own_budget, standing=self.standing
        )

    def _terms(self) -> Any:
        if self.data is not None:
            self.form.is_valid()
            return getattr(self.form, "terms", None)
        if self.own_budget is None:
            return None
        return {term: getattr(self.own_budget, term) for term in TERMS}

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
