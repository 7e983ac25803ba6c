"""Create and edit a key. The secret of a new one stands once, in the answer to the form."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from proxy.actions import change_key, create_key
from proxy.key_page_form import KeyPageForm
from proxy.models import APIKey
from proxy.pages.key_page import KeyPage, key_address
from proxy.pages.keys import ADD, CHANGE, VIEW
from proxy.spent_forms import ALREADY, is_spent, spend_form
from spend.buckets import Payers
from spend.models import Audit, Budget
from spend.standings import Standing
from tags.draws import split_draws
from tags.errors import Stale
from tags.pages.budgets_form_page import BudgetsFormPage
from tags.pages.usage import usage_of

FIELDS_OF = {"shared_budget_ids": "pots", "key_alias": "alias"}
EXAMPLE_TAG = "team:search"


class KeyFormPage(BudgetsFormPage):
    template_name = "proxy/key_form.html"
    fragments = {"preview": "proxy/_key_preview.html"}
    seen_by = (VIEW,)
    fields_of = FIELDS_OF
    key: Any  # an APIKey, or None of one that is to be

    def context(self) -> dict[str, Any]:
        self.form.is_valid()
        return {
            **super().context(),
            "key": self.key,
            "typed_name": str(self.key) if self.key else "A new key",
            "name": str(self.key) if self.key else "the key",
            "trials": self.form.trials() if self.data is not None else [],
            "unmet": list(self.form.unmet()) if self.data is not None else [],
        }

    @cached_property
    def form(self) -> KeyPageForm:
        return KeyPageForm(self.data, instance=self.key, initial=self.initial())

    def initial(self) -> dict[str, Any]:
        return {}


class NewKey(KeyFormPage):
    title = "Create a key"
    done_by = (ADD,)
    key = None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(ADD):
            raise PermissionDenied
        return self.show()

    def initial(self) -> dict[str, Any]:
        tag = self.request.GET.get("tag", "").replace("\0", "")
        return {"default_tags": [tag]} if tag else {}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_spent(request):
            messages.error(request, ALREADY)
            return HttpResponseRedirect(reverse("keys"))
        return super().post(request, *args, **kwargs)

    def save(self) -> HttpResponse:
        key, secret = create_key(self.wanted(), actor=self.actor)
        spend_form(self.request)
        return reveal(self, key, secret, title=f"Key created: {key}")


class EditKey(KeyFormPage, KeyPage):
    key = KeyPage.key
    done_by = (CHANGE,)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Edit {self.name}"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.may(CHANGE):
            raise PermissionDenied
        return self.show()

    def initial(self) -> dict[str, Any]:
        _, pots = split_draws(self.key.draws.all())
        return {
            "pots": [pot.public_id for pot in pots],
            "version": self.key.updated_at.isoformat(),
        }

    @property
    def payers(self) -> Payers:
        return Payers(key_ids=(self.key.pk,))

    @property
    def own_budget(self) -> Budget | None:
        return self.key.budget

    @property
    def standing(self) -> Standing | None:
        return self.rows[0].standing

    @cached_property
    def further_budgets(self) -> list[Budget]:
        return split_draws(self.key.draws.all())[0]

    def save(self) -> HttpResponse:
        with transaction.atomic():
            stored = APIKey.objects.select_for_update().get(pk=self.key.pk)
            if stored.updated_at.isoformat() != self.request.POST.get("version"):
                raise Stale("Somebody else changed this key.")
            key = change_key(self.key.pk, self.wanted(), actor=self.actor)
        return self.say(f"{key} is saved.", key_address(key.pk))

    def what_stands(self) -> dict[str, Any]:
        stored = APIKey.objects.get(pk=self.key.pk)
        last = Audit.objects.filter(kind="key", name=str(stored)).order_by("-id").first()
        self.data["version"] = stored.updated_at.isoformat()
        return {"actor": last.actor if last else "somebody"}


def reveal(page: Any, key: APIKey, secret: str, *, title: str) -> HttpResponse:
    """The one answer with the secret. No address leads to it."""
    tags = key.metadata.get("tags") or [EXAMPLE_TAG]
    usage = usage_of(tags[0], settings.TOLLGATE_URL, secret=secret)
    answer = page.show(
        template="proxy/key_created.html", key=key, secret=secret, title=title, usage=usage
    )
    answer["Cache-Control"] = "no-store"
    return answer  # type: ignore[no-any-return]
