"""Clients of the Django admin, and its forms as a browser would send them."""

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.factories import unique

ROOT = "root"


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def root_client() -> Client:
    """Of a superuser, whom the audit names ROOT."""
    user = User.objects.filter(username=ROOT).first()
    return client_of(user or User.objects.create_superuser(ROOT))


def staff_client(*permissions: str) -> Client:
    """Of somebody with these permissions alone, such as `view_tag`."""
    user = User.objects.create(username=unique("staff"), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return client_of(user)


def viewer_client() -> Client:
    """Of somebody who may view everything and do nothing."""
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return client_of(user)


def filled(response: Any, **changes: Any) -> dict[str, Any]:
    """What a browser would send of the page's form with these fields changed; None: left out."""
    sent = fields_of(response.context["adminform"].form)
    for inline in response.context["inline_admin_formsets"]:
        sent |= fields_of(inline.formset.management_form)
        for form in inline.formset.forms:
            sent |= fields_of(form)
    sent |= changes
    return {name: value for name, value in sent.items() if value is not None}


def fields_of(form: Any) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if value is False:
            continue
        sent[bound.html_name] = "on" if value is True else "" if value is None else value
    return sent


def errors_of(response: Any) -> dict[str, list[str]]:
    """Of a form that came back: messages by field, those of inlines by their place."""
    assert response.status_code == 200, response.status_code
    found = dict(response.context["adminform"].form.errors)
    for inline in response.context["inline_admin_formsets"]:
        if inline.formset.non_form_errors():
            found[inline.formset.prefix] = list(inline.formset.non_form_errors())
        for form in inline.formset.forms:
            found |= {form.add_prefix(name): list(texts) for name, texts in form.errors.items()}
    return found
