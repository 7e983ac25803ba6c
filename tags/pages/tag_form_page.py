"""TagFormPage: a tag as a form, with the live preview of its budget at the same address."""

from functools import cached_property
from importlib import import_module
from typing import Any

from django.conf import settings

from spend.buckets import Payers
from spend.models import Budget
from spend.standings import Standing
from tags.draws import split_draws
from tags.models import Tag
from tags.names import BadTag, clean_tag
from tags.pages.budgets_form_page import BudgetsFormPage
from tags.pages.tag_page import TagPage, was_seen
from tags.pages.usage import usage_of
from tags.tag_form import TagPageForm

EXAMPLE = "team:search"
CHANGE_KEYS = "proxy.change_apikey"


class TagFormPage(BudgetsFormPage, TagPage):
    """What creating and editing have in common."""

    tab = "summary"
    template_name = "tags/tag_form.html"
    fragments = {"preview": "tags/_tag_preview.html", "named": "tags/_tag_named.html"}
    fields_of = {"shared_budget_ids": "pots", "name": "name", "keys": "keys"}

    def context(self) -> dict[str, Any]:
        return {
            **super().context(),
            "typed_name": self.typed_name,
            "named": self._named(),
            "may_set_keys": self.may(CHANGE_KEYS),
            "usage": usage_of(self.typed_name or EXAMPLE, settings.TOLLGATE_URL),
        }

    @cached_property
    def form(self) -> TagPageForm:
        return TagPageForm(self.data, instance=self.tag, initial=self.initial())

    def initial(self) -> dict[str, Any]:
        return {}

    @cached_property
    def further_budgets(self) -> list[Budget]:
        return [] if self.tag is None else split_draws(self.tag.draws.all())[0]

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

    @property
    def payers(self) -> Payers:
        return Payers(tags=(self.typed_name,)) if self.typed_name else Payers()

    @property
    def own_budget(self) -> Budget | None:
        return None if self.tag is None else self.tag.budget

    @property
    def standing(self) -> Standing | None:
        return self.rows[0].standing if self.rows else None

    def set_keys(self, name: str) -> None:
        """Which keys always carry it, for who may change keys."""
        if self.may(CHANGE_KEYS):
            keys = self.form.cleaned_data["keys"]
            import_module(settings.TAG_CARRIERS).set_carriers(name, keys, actor=self.actor)

    def _named(self) -> dict[str, Any]:
        """What is known of the name that is typed: taken, or seen in traffic."""
        if self.tag is not None or not self.typed_name:
            return {}
        taken = Tag.objects.filter(name=self.typed_name).only("pk").first()
        return {"taken": taken, "seen": taken is None and was_seen(self.typed_name)}
