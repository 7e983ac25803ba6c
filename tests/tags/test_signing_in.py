"""Signing in: ten wrong passwords lock a user and an address for a while, the right one too."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from spend.models import Audit
from tests.admin_clients import filled, root_client

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
RIGHT = "a-password-for-tests-only"


@pytest.fixture(autouse=True)
def quick(settings):
    """Half a second a password is what an attacker should wait, not a test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ana():
    return User.objects.create_superuser("ana", password=RIGHT)


def try_to(client, password, username="ana", **headers):
    body = {"username": username, "password": password, "next": "/"}
    return client.post(LOGIN, body, **headers)


def test_the_right_one_does_not_help_once_it_is_locked(ana):
    client = Client()
    statuses = [try_to(client, "wrong").status_code for _ in range(20)]

    assert statuses[:9] == [200] * 9
    assert set(statuses[9:]) == {429}
    answer = try_to(Client(REMOTE_ADDR="10.1.1.1"), RIGHT)  # from elsewhere
    assert answer.status_code == 429
    assert "Too many wrong passwords. Try again in 15 minutes." in answer.content.decode()
    assert answer["Retry-After"] == "900"


def test_an_address_is_locked_whatever_it_calls_itself(ana, settings):
    for n in range(10):
        spoofed = {"HTTP_X_FORWARDED_FOR": f"10.0.0.{n}"}
        try_to(Client(REMOTE_ADDR="10.9.9.9"), "wrong", username=f"user{n}", **spoofed)

    assert try_to(Client(REMOTE_ADDR="10.9.9.9"), RIGHT).status_code == 429
    assert try_to(Client(REMOTE_ADDR="10.9.9.8"), RIGHT).status_code == 302
    settings.TRUSTED_PROXIES = ["10.9.9.9"]
    behind = {"HTTP_X_FORWARDED_FOR": "1.2.3.4, 10.0.0.77"}
    assert try_to(Client(REMOTE_ADDR="10.9.9.9"), RIGHT, **behind).status_code == 302


def test_a_success_forgets_the_mistakes_before_it(ana):
    for _ in range(3):
        for _ in range(6):
            try_to(Client(), "wrong")
        assert try_to(Client(), RIGHT).status_code == 302


def test_a_change_of_password_ends_the_other_sessions(ana):
    here, there = Client(), Client()
    try_to(here, RIGHT), try_to(there, RIGHT)
    assert there.get("/tags/").status_code == 200

    new = "another-password-for-tests"
    body = {"old_password": RIGHT, "new_password1": new, "new_password2": new}
    assert here.post("/admin/password_change/", body).status_code == 302

    assert here.get("/tags/").status_code == 200
    assert there.get("/tags/").status_code == 302


# -- who may log in is audited ---------------------------------------------------------------------


def test_users_and_groups_leave_a_trail_without_passwords():
    root = root_client()
    added = {"username": "ben", "password1": RIGHT, "password2": RIGHT, "usable_password": "true"}
    assert root.post("/admin/auth/user/add/", added).status_code == 302
    ben = User.objects.get(username="ben")
    group = Group.objects.get(name="FinOps editor")
    form = filled(root.get(f"/admin/auth/user/{ben.pk}/change/"), is_staff="on", groups=[group.pk])
    form = {name: value for name, value in form.items() if name != "password"}
    answer = root.post(f"/admin/auth/user/{ben.pk}/change/", form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    root.post(f"/admin/auth/user/{ben.pk}/password/", {**added, "username": ""})
    root.post(f"/admin/auth/user/{ben.pk}/delete/", {"post": "yes"})

    entries = list(Audit.objects.filter(kind="user", name="ben").order_by("id"))
    assert [entry.action for entry in entries] == ["create", "change", "set_password", "delete"]
    assert {entry.actor for entry in entries} == {"root"}
    assert (entries[1].before["groups"], entries[1].after["groups"]) == ([], ["FinOps editor"])
    assert entries[1].after["is_staff"] is True
    assert "md5$" not in str([(entry.before, entry.after) for entry in entries])
