"""Create and edit a tag; who wrote at the same time is named, and nothing is lost unasked."""

from functools import cached_property
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from spend.amounts import exact_text
from spend.models import Audit
from tags.access import CREATE, EDIT, may_describe
from tags.actions import change_tag, create_tag, version_of
from tags.changes import Changes
from tags.draws import split_draws
from tags.models import Tag
from tags.pages.tag_form_page import TagFormPage
from tags.pages.tag_page import TagPage
from tags.tag_form import DescriptionForm


class NewTag(TagFormPage):
    title = "Create a tag"
    done_by = (CREATE,)
    tag = None

    @property
    def name(self) -> str:
        return self.typed_name

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(CREATE):
            raise PermissionDenied
        return self.show()

    def initial(self) -> dict[str, Any]:
        return {"name": self.typed_name}

    def save(self) -> HttpResponse:
        name = self.form.cleaned_data["name"]
        with transaction.atomic():
            tag = create_tag(name, self.wanted(), actor=self.actor)
            self.set_keys(name)
        again = "again" in self.request.POST
        address = reverse("tag-new") if again else reverse("tag-summary", args=[tag.pk])
        return self.say(f"{name} is a tag now. Calls that carry it are counted.", address)


class EditTag(TagFormPage):
    """An owner who may not edit says what the tag is about, and nothing else."""

    @property
    def title(self) -> str:
        return f"Edit {self.name}"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated and not request.user.has_perm(EDIT):
            return DescribeTag.as_view()(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def initial(self) -> dict[str, Any]:
        _, pots = split_draws(self.tag.draws.all())
        carriers = import_module(settings.TAG_CARRIERS).read_carriers(self.tag.name)
        return {
            "pots": [pot.public_id for pot in pots],
            "keys": carriers,
            "version": version_of(self.tag),
        }

    def save(self) -> HttpResponse:
        before = self.rows[0]
        version = self.request.POST.get("version")
        with transaction.atomic():
            tag = change_tag(self.name, self.wanted(), actor=self.actor, version=version)
            self.set_keys(self.name)
        return self.say(self._saved_text(before, tag), self.address("summary"))

    def _saved_text(self, before: Any, tag: Tag) -> str:
        was, limit = before.budget.limit, tag.budget.limit
        if was == limit:
            return f"{self.name} is saved."
        text = f"Limit of {self.name}: {_limit_text(limit)}, before {_limit_text(was)}."
        is_room = limit is None or before.standing.spent + before.standing.reserved < limit
        return f"{text} Calls are admitted again." if before.account.is_over and is_room else text

    def what_stands(self) -> dict[str, Any]:
        """Who it was, and what stands now; saving again puts what was typed in its place."""
        stored = Tag.objects.with_budgets().get(pk=self.tag.pk)
        last = Audit.objects.filter(kind="tag", name=self.name).order_by("-id").first()
        self.data["version"] = version_of(stored)
        typed = self.form.terms["limit"]
        return {
            "actor": last.actor if last else "somebody",
            "theirs": _limit_text(stored.budget.limit),
            "mine": _limit_text(typed),
            "is_about_limit": stored.budget.limit != typed,
        }


class DescribeTag(TagPage):
    """For an owner: the description alone."""

    tab = "summary"
    template_name = "tags/tag_describe.html"

    @property
    def title(self) -> str:
        return f"Describe {self.name}"

    def context(self) -> dict[str, Any]:
        return {**super().context(), "form": self.form}

    @cached_property
    def form(self) -> DescriptionForm:
        if self.tag is None or not may_describe(self.request.user, self.tag):
            raise PermissionDenied
        return DescriptionForm(self.request.POST or None, instance=self.tag)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.form.is_valid():
            return self.show(status=422)
        columns = {"description": self.form.cleaned_data["description"]}
        change_tag(self.name, Changes(columns), actor=self.actor)
        return self.say(f"{self.name} is saved.", self.address("summary"))


def _limit_text(limit: int | None) -> str:
    return "no limit" if limit is None else exact_text(limit)
