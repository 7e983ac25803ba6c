"""Credentials: an installation's secrets, made once, and what a person or script logs in with."""

import base64
import os
import secrets
from collections.abc import Mapping

from config.folder import Folder, FolderRefused

ADMIN_NAMES = frozenset({"DJANGO_SUPERUSER_USERNAME", "DJANGO_SUPERUSER_PASSWORD"})


def provide_secrets(folder: Folder, given: Mapping[str, str]) -> dict[str, str]:
    """The secrets in force: what the environment gives, else what the folder keeps.

    The administrator is made once, so his name and password are kept as they were then.
    Raises FolderRefused when a value cannot be kept.
    """
    kept = folder.read_settings(folder.secrets)
    missing = {name: make() for name, make in MAKERS.items() if name not in kept}
    if missing:
        missing |= {name: given[name] for name in ADMIN_NAMES & missing.keys() if given.get(name)}
        refuse_unkeepable(missing)
        kept |= missing
        folder.write_settings(folder.secrets, kept)
    return {name: given.get(name) or kept[name] for name in MAKERS}


def make_vault_key() -> str:
    """A Fernet key: 32 random bytes, URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


MAKERS = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "MASTER_KEY": lambda: "sk-" + secrets.token_urlsafe(32),
    "VAULT_KEYS": make_vault_key,
    "DJANGO_SUPERUSER_USERNAME": lambda: "admin",
    "DJANGO_SUPERUSER_PASSWORD": lambda: secrets.token_urlsafe(18),
}


def refuse_unkeepable(settings: Mapping[str, str]) -> None:
    """The file has one setting a line."""
    for name, value in settings.items():
        if not value.isprintable():
            raise FolderRefused(f"{name} holds a character that cannot be printed")


def write_credentials(
    folder: Folder, *, url: str, kept: Mapping[str, str], password: str | None, api_key: str | None
) -> None:
    folder.write_json(
        folder.credentials,
        {
            "url": url,
            "admin_username": kept["DJANGO_SUPERUSER_USERNAME"],
            "admin_password": password,
            "master_key": kept["MASTER_KEY"],
            "api_key": api_key,
        },
    )
