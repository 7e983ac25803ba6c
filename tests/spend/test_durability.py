"""Durability: a database that may forget what it confirmed is an error of Django's check."""

from argparse import Namespace

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from config.preparation import prepare
from spend import durability

ON = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def errors_with(monkeypatch, **values):
    monkeypatch.setattr(durability, "read_safeguards", lambda alias: ON | values)
    found = run_checks(tags=[Tags.database], databases=["default"])
    return [error for error in found if error.id == "spend.E001"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(ON))
def test_it_is_an_error_when_a_safeguard_is_off(monkeypatch, name):
    (error,) = errors_with(monkeypatch, **{name: "off"})

    assert error.is_serious()
    assert error.msg.startswith(f"{name} is off on the database 'default'. ")
    assert error.hint == f"Set {name} = on for the server, the database and the role."


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["on", "local", "remote_write", "remote_apply"])
def test_it_is_content_with_all_that_reach_the_disk(monkeypatch, value):
    assert errors_with(monkeypatch, synchronous_commit=value) == []


def test_it_asks_no_database_unless_told_which(monkeypatch):
    monkeypatch.setattr(durability, "read_safeguards", lambda alias: pytest.fail("was asked"))

    assert durability.check_durability(app_configs=None, databases=None) == []


@pytest.mark.django_db
def test_it_reads_what_holds_for_our_own_session():
    assert durability.read_safeguards("default").keys() == ON.keys()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    with pytest.raises(SystemCheckError, match="synchronous_commit is off on the database"):
        call_command("check", databases=["default"], tags=[Tags.database])


@pytest.mark.django_db
def test_a_start_on_a_server_of_somebody_elses_is_refused(monkeypatch):
    monkeypatch.setattr(durability, "read_safeguards", lambda alias: ON | {"fsync": "off"})

    with pytest.raises(SystemCheckError, match="fsync is off on the database 'default'"):
        prepare(Namespace(alone=False, upstream=None))
