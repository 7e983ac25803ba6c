"""The vault: providers' secrets at rest, encrypted, each bound to the row that holds it.

    seal(row_id, secret) -> blob            under the newest of settings.VAULT_KEYS
    open_secret(row_id, blob) -> secret     under any of them
    upstream_secret(upstream) -> secret     from its row, or from the environment
    reseal_secrets() -> how many            under the newest key, so that older ones can go

The row's id is inside the plaintext, so a ciphertext that was moved to another row opens nothing.
"""

from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from proxy.models import Upstream

_ID_BYTES = 16


class VaultError(Exception):
    """A secret cannot be sealed or opened. Never tells anything of the secret or of a key."""


def seal(row_id: UUID, secret: str) -> bytes:
    """Raises VaultError when no key is set, or none of the right form."""
    return _fernet().encrypt(row_id.bytes + secret.encode())


def open_secret(row_id: UUID, blob: bytes | memoryview) -> str:
    """Raises VaultError when no key opens it, or when it was sealed for another row."""
    try:
        plaintext = _fernet().decrypt(bytes(blob))
    except InvalidToken:
        raise VaultError("no vault key opens this secret") from None
    if plaintext[:_ID_BYTES] != row_id.bytes:
        raise VaultError("this secret was sealed for another row")
    return plaintext[_ID_BYTES:].decode()


def upstream_secret(upstream: Upstream) -> str | None:
    """What the upstream is called with; None if it needs nothing. Raises VaultError."""
    if upstream.secret_variable:
        try:
            found: str = settings.UPSTREAM_SECRETS[upstream.secret_variable]
        except KeyError:
            raise VaultError(f"{upstream.secret_variable} is not in the environment") from None
        return found
    if upstream.secret is None:
        return None
    return open_secret(upstream.id, upstream.secret)


@transaction.atomic
def reseal_secrets() -> int:
    """Seal every secret anew, all or none. Raises VaultError if one of them cannot be opened."""
    rows = Upstream.objects.filter(secret__isnull=False).order_by("id").select_for_update()
    for upstream in rows:
        assert upstream.secret is not None
        upstream.secret = seal(upstream.id, open_secret(upstream.id, upstream.secret))
        upstream.save(update_fields=["secret", "updated_at"])
    return len(rows)


def _fernet() -> MultiFernet:
    if not settings.VAULT_KEYS:
        raise VaultError("VAULT_KEYS is not set, so no provider's secret can be kept")
    try:
        return MultiFernet([Fernet(key) for key in settings.VAULT_KEYS])
    except ValueError:
        raise VaultError("VAULT_KEYS holds something that is no Fernet key") from None
