"""The vault: secrets come back for their own row only, and keys can be exchanged."""

from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from proxy.models import Upstream
from proxy.vault import VaultError, open_secret, seal, upstream_secret

ROW = UUID("0199d0a4-3c20-7e01-a5b2-6c9d0e1f2a3b")
OTHER_ROW = UUID("0199d0a4-3c20-7e01-a5b2-6c9d0e1f2a3c")


@pytest.fixture(autouse=True)
def vault_keys(settings):
    settings.VAULT_KEYS = [Fernet.generate_key().decode()]
    return settings.VAULT_KEYS


def test_it_works():
    assert open_secret(ROW, seal(ROW, "sk-provider-ß")) == "sk-provider-ß"


def test_it_hides_the_secret():
    assert b"sk-provider" not in seal(ROW, "sk-provider")


def test_it_refuses_a_ciphertext_that_was_moved_to_another_row():
    blob = seal(ROW, "sk-provider")

    with pytest.raises(VaultError, match="another row"):
        open_secret(OTHER_ROW, blob)


def test_it_refuses_a_ciphertext_that_was_edited():
    blob = bytearray(seal(ROW, "sk-provider"))
    blob[-1] ^= 1

    with pytest.raises(VaultError, match="no vault key opens"):
        open_secret(ROW, bytes(blob))


def test_it_opens_with_an_older_key_and_seals_with_the_newest(settings, vault_keys):
    old = seal(ROW, "sk-provider")
    newest = Fernet.generate_key().decode()

    settings.VAULT_KEYS = [newest, *vault_keys]
    sealed_anew = seal(ROW, "sk-provider")

    assert open_secret(ROW, old) == "sk-provider"
    settings.VAULT_KEYS = [newest]
    assert open_secret(ROW, sealed_anew) == "sk-provider"
    with pytest.raises(VaultError):
        open_secret(ROW, old)


@pytest.mark.parametrize("keys", [[], ["not a key"]])
def test_it_refuses_without_a_usable_key(settings, keys):
    settings.VAULT_KEYS = keys

    with pytest.raises(VaultError, match="VAULT_KEYS"):
        seal(ROW, "sk-provider")


def test_it_tells_nothing_in_its_errors(settings):
    settings.VAULT_KEYS = ["key-that-is-wrong"]

    with pytest.raises(VaultError) as refusal:
        seal(ROW, "sk-provider")

    assert "sk-provider" not in str(refusal.value)
    assert "key-that-is-wrong" not in str(refusal.value)


def test_it_reads_a_named_variable(settings):
    settings.UPSTREAM_SECRETS = {"OPENAI_API_KEY": "sk-from-outside"}
    upstream = Upstream(secret_variable="OPENAI_API_KEY")

    assert upstream_secret(upstream) == "sk-from-outside"


def test_it_refuses_a_variable_that_is_not_there(settings):
    settings.UPSTREAM_SECRETS = {}

    with pytest.raises(VaultError, match="OPENAI_API_KEY is not in the environment"):
        upstream_secret(Upstream(secret_variable="OPENAI_API_KEY"))


def test_it_needs_no_secret_where_there_is_none():
    assert upstream_secret(Upstream(secret=None)) is None


def test_it_opens_what_a_row_holds():
    upstream = Upstream(id=ROW, secret=memoryview(seal(ROW, "sk-provider")))

    assert upstream_secret(upstream) == "sk-provider"


@pytest.mark.django_db
def test_it_seals_all_secrets_anew_so_that_an_old_key_can_go(settings, vault_keys):
    for name in ("a", "b"):
        upstream = Upstream(name=name, provider="openai", address="https://host")
        upstream.secret = seal(upstream.id, f"sk-{name}")
        upstream.save()
    newest = Fernet.generate_key().decode()
    settings.VAULT_KEYS = [newest, *vault_keys]

    call_command("reseal_secrets")

    settings.VAULT_KEYS = [newest]
    assert [upstream_secret(row) for row in Upstream.objects.all()] == ["sk-a", "sk-b"]


@pytest.mark.django_db
def test_it_changes_no_secret_when_one_cannot_be_opened(settings, vault_keys):
    good = Upstream(name="good", provider="openai", address="https://host")
    good.secret = seal(good.id, "sk-good")
    good.save()
    Upstream.objects.create(name="lost", provider="openai", address="https://x", secret=b"lost")

    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("reseal_secrets")

    assert bytes(Upstream.objects.get(name="good").secret) == good.secret
