"""Whom PostgreSQL runs as when root starts it, and the least that he needs to reach his files."""

import os

import pytest

from config import accounts
from config.accounts import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_SETPCAP,
    Account,
    NoAccount,
    capability_for,
    choose_account,
)

STRANGER = Account("stranger", 54321, 54321)
ALL = (1 << 41) - 1
NONE = 0


@pytest.fixture
def program(tmp_path):
    """A program that anybody may run, in a folder of ours; pytest's own folders are closed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "postgres"
    path.touch()
    path.chmod(0o755)
    return path


@pytest.fixture
def held(monkeypatch):
    def hold(capabilities):
        monkeypatch.setattr(accounts, "permitted_capabilities", lambda: capabilities)

    return hold


def test_it_needs_nothing_where_the_way_is_open(program, held, monkeypatch):
    held(NONE)
    monkeypatch.setattr(accounts, "may", lambda account, path, bits: True)

    assert capability_for(STRANGER, [program]) is None


def test_it_may_pass_closed_folders(program, held):
    held(ALL)

    assert capability_for(STRANGER, [program]) == CAP_DAC_READ_SEARCH


def test_it_may_run_what_only_root_may_run(program, held):
    program.chmod(0o700)
    held(ALL)

    assert capability_for(STRANGER, [program]) == CAP_DAC_OVERRIDE


def test_it_takes_the_stronger_one_where_a_container_lacks_the_weaker(program, held):
    held(1 << CAP_DAC_OVERRIDE | 1 << CAP_SETPCAP)

    assert capability_for(STRANGER, [program]) == CAP_DAC_OVERRIDE


@pytest.mark.parametrize("capabilities", [NONE, 1 << CAP_DAC_OVERRIDE, 1 << CAP_SETPCAP])
def test_it_refuses_where_no_capability_can_be_kept(program, held, capabilities):
    held(capabilities)

    with pytest.raises(NoAccount, match="'stranger' cannot reach"):
        capability_for(STRANGER, [program])


def test_a_normal_user_stays_himself(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert choose_account(tmp_path) is None


def test_root_gives_a_new_folder_to_postgres_or_nobody(tmp_path, held, monkeypatch):
    held(ALL)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "account_named", {"nobody": STRANGER}.get)

    assert choose_account(tmp_path / "new") == STRANGER


def test_root_leaves_a_folder_to_its_earlier_owner(tmp_path, held, monkeypatch):
    held(ALL)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "owner_of", lambda folder: 54321)
    monkeypatch.setattr(accounts, "account_of", {54321: STRANGER}.get)

    assert choose_account(tmp_path) == STRANGER


def test_root_is_refused_where_there_is_nobody_else(tmp_path, held, monkeypatch):
    held(ALL)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "account_named", lambda name: None)

    with pytest.raises(NoAccount, match="no user 'postgres' or 'nobody'"):
        choose_account(tmp_path / "new")


def test_root_is_refused_where_he_may_not_switch(tmp_path, held, monkeypatch):
    held(NONE)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "LIBC", object())

    with pytest.raises(NoAccount, match="may not switch"):
        choose_account(tmp_path / "new")
