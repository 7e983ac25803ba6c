"""Secrets at the start: a vault key that is none, and one value given to two purposes."""

import runpy
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(__file__).parent.parent / "config" / "settings.py"
SHARED = "sk-one-value-for-two-purposes-is-one-too-many"
KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF0="
SHORT_KEY = KEY[:40]


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Read the settings as a start does, over the suite's own secrets and an empty folder."""

    def read(**given):
        for setting, value in {"TOLLGATE_DATA": str(tmp_path), **given}.items():
            monkeypatch.setenv(setting, value)
        return runpy.run_path(str(SETTINGS))

    return read


@pytest.mark.parametrize(
    ("keys", "place"),
    [("hush-not-a-key", 1), (SHORT_KEY, 1), (f"{KEY},{SHORT_KEY}", 2), (f"{KEY};{KEY}", 1)],
    ids=["word", "short", "second", "semicolon"],
)
def test_it_refuses_a_vault_key_that_is_none(start, keys, place):
    with pytest.raises(ImproperlyConfigured) as refusal:
        start(VAULT_KEYS=keys)

    wanted = f"VAULT_KEYS must be Fernet keys between commas; number {place} is none."
    assert str(refusal.value) == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SECRET_KEY", "MASTER_KEY"),
        ("SECRET_KEY", "ALERT_SECRET"),
        ("MASTER_KEY", "ALERT_SECRET"),
    ],
)
def test_it_refuses_two_equal_secrets(start, one, other):
    with pytest.raises(ImproperlyConfigured) as refusal:
        start(**{one: SHARED, other: SHARED})

    assert str(refusal.value) == f"{other} must differ from {one}."


def test_it_starts_with_several_vault_keys_and_with_no_secret_but_one(start):
    older = Fernet.generate_key().decode()

    read = start(VAULT_KEYS=f"{KEY},{older}", MASTER_KEY="", ALERT_SECRET="")

    assert read["VAULT_KEYS"] == [KEY, older]
    assert all(Fernet(key) for key in read["VAULT_KEYS"])
    assert (read["MASTER_KEY"], read["ALERT_SECRET"]) == ("", "")
