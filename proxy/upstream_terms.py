"""Upstream terms: whom to call, where, with what secret; the one row that holds them, shared.

An upstream row is shared by the deployments with the same provider, address and secret, and goes
with the last of them.
"""

import hmac
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.db import connection

from proxy.models import Upstream
from proxy.vault import VaultError, open_secret, seal
from spend.ids import new_row_id

ENDING_LENGTH_MIN = 12  # of a shorter secret the last four would tell too much


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTerms:
    """Whom to call, where, and with what secret: its text, or the variable that holds it."""

    provider: str
    address: str
    api_version: str = ""
    secret: str | None = field(default=None, repr=False)
    secret_variable: str = ""


def upstream_terms(upstream: Upstream) -> UpstreamTerms:
    """What an upstream row says, its secret opened. Raises VaultError."""
    return UpstreamTerms(
        provider=upstream.provider,
        address=upstream.address,
        api_version=upstream.api_version,
        secret=None if upstream.secret is None else open_secret(upstream.id, upstream.secret),
        secret_variable=upstream.secret_variable,
    )


def masked_secret(upstream: Upstream) -> str | None:
    """What may be shown of the secret; sending it back changes nothing."""
    if upstream.secret_variable:
        return f"os.environ/{upstream.secret_variable}"
    if upstream.secret is None:
        return None
    return f"sk-...{upstream.secret_ending}"


def find_or_create_upstream(terms: UpstreamTerms) -> Upstream:
    with connection.cursor() as cursor:  # two at once would make two rows for one upstream
        cursor.execute("select pg_advisory_xact_lock(7004)")
    candidates = Upstream.objects.filter(
        provider=terms.provider,
        address=terms.address,
        api_version=terms.api_version,
        secret_variable=terms.secret_variable,
        secret__isnull=terms.secret is None,
    )
    for candidate in candidates.order_by("created_at", "id"):
        if _has_secret(candidate, terms.secret):
            return candidate
    row_id = new_row_id()
    return Upstream.objects.create(
        id=row_id,
        name=_free_name(terms),
        provider=terms.provider,
        address=terms.address,
        api_version=terms.api_version,
        secret_variable=terms.secret_variable,
        secret=None if terms.secret is None else seal(row_id, terms.secret),
        secret_ending=_ending(terms.secret),
    )


def _has_secret(upstream: Upstream, secret: str | None) -> bool:
    if upstream.secret is None or secret is None:
        return upstream.secret is None and secret is None
    try:
        kept = open_secret(upstream.id, upstream.secret)
    except VaultError:  # sealed under a key that is gone: never the same as what was just sent
        return False
    return hmac.compare_digest(kept.encode(), secret.encode())


def _ending(secret: str | None) -> str:
    return secret[-4:] if secret and len(secret) >= ENDING_LENGTH_MIN else ""


def _free_name(terms: UpstreamTerms) -> str:
    base = f"{terms.provider} {urlsplit(terms.address).netloc}"[:120]
    taken = set(Upstream.objects.filter(name__startswith=base).values_list("name", flat=True))
    names = (f"{base} {n}" if n > 1 else base for n in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def delete_if_unused(upstream: Upstream) -> None:
    if not upstream.deployments.exists():
        upstream.delete()
