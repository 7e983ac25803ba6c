"""Actions: create, change, block, regenerate and delete keys, reset their spend.

Each is one transaction, in which key, budgets and windows change together or not at all, and in
which the audit hears who did it. No secret is ever kept: the two verbs that make one return it.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now

from proxy.credentials import digest_of, is_master, new_secret
from proxy.models import APIKey
from spend.audit import record_change
from spend.budgets import change_budget, create_budget
from tags.actions import reset_own_budget
from tags.changes import Changes
from tags.draws import (
    close_own_budgets,
    describe_budget,
    describe_draws,
    lock_windows,
    replace_draws,
    split_draws,
)
from tags.errors import NotThere, Taken

COLUMNS = (
    "alias", "allowed_models", "metadata", "allowed_tags", "required_tags", "tpm_limit",
    "rpm_limit", "max_parallel_requests", "blocked",
)  # fmt: skip
NO_SUCH_KEY = "There is no such key."

_DIGEST = re.compile(r"[0-9a-f]{64}")


def find_key(text: str) -> APIKey:
    """The key that a secret, a digest or a key's id names. Raises NotThere."""
    keys = APIKey.objects.with_budgets().present()
    if text.startswith("sk-"):
        key = APIKey.objects.with_budgets().of_digest(digest_of(text), now()).first()
    elif _DIGEST.fullmatch(text):
        key = keys.filter(digest=text).first()
    elif key_id := _uuid(text):
        key = keys.filter(id=key_id).first()
    else:
        key = None
    if key is None:
        raise NotThere(NO_SUCH_KEY, "key")
    return key


@transaction.atomic
def create_key(changes: Changes, *, secret: str | None = None, actor: str) -> tuple[APIKey, str]:
    """The key and its secret, which is `secret` if that was brought.

    Raises Taken when the alias or the brought secret has an owner, Invalid when a pot does not
    exist.
    """
    text = secret or new_secret()
    _refuse_taken_secret(text, "key")
    budget = create_budget(**changes.budget)
    try:
        with transaction.atomic():
            key = APIKey.objects.create(
                digest=digest_of(text),
                ending=text[-4:],
                budget=budget,
                created_by=actor,
                created_at=budget.anchor,
                **changes.columns,
            )
    except IntegrityError as error:
        raise _taken(error, changes) from None
    replace_draws(key.draws, changes)
    made = describe_key(key) | {"brought": secret is not None}
    record_change(actor, "create", "key", str(key), after=made)
    return _read(key), text


@transaction.atomic
def change_key(key_id: UUID, changes: Changes, *, actor: str, action: str = "change") -> APIKey:
    """Change what is said and nothing else. Raises NotThere, Taken or Invalid."""
    key = _locked(key_id)
    before = describe_key(key)
    lock_windows([key.budget, *split_draws(key.draws.all())[0]])
    for column, value in changes.columns.items():
        setattr(key, column, value)
    change_budget(key.budget, changes.budget)
    replace_draws(key.draws, changes)
    after = describe_key(key)
    if after != before:
        try:
            with transaction.atomic():
                key.save()
        except IntegrityError as error:
            raise _taken(error, changes) from None
        record_change(actor, action, "key", str(key), before=before, after=after)
    return _read(key)


def set_blocked(key_id: UUID, blocked: bool, *, actor: str) -> APIKey:
    """A blocked key makes no call; those in flight finish. Raises NotThere."""
    action = "block" if blocked else "unblock"
    return change_key(key_id, Changes({"blocked": blocked}), actor=actor, action=action)


@transaction.atomic
def regenerate_key(
    key_id: UUID, *, secret: str | None = None, grace: timedelta | None = None, actor: str
) -> tuple[APIKey, str]:
    """Give the key another secret; the old one works on for `grace`. Budgets and windows stay.

    Raises NotThere, or Taken when the brought secret has an owner.
    """
    key = _locked(key_id)
    text = secret or new_secret()
    _refuse_taken_secret(text, "new_key")
    key.previous_digest = key.digest if grace else None
    key.previous_until = now() + grace if grace else None
    key.digest, key.ending = digest_of(text), text[-4:]
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError:
        raise Taken("Another key has that secret.", "new_key") from None
    until = key.previous_until and key.previous_until.isoformat()
    changed = {"old_secret_until": until, "brought": secret is not None}
    record_change(actor, "regenerate", "key", str(key), after=changed)
    return _read(key), text


@transaction.atomic
def delete_keys(key_ids: Sequence[UUID], *, actor: str) -> None:
    """All or none. The rows stay, so that reports can name them; the secrets work no more."""
    for key_id in sorted(set(key_ids)):  # in one order, for two who delete the same ones
        key = _locked(key_id)
        before = describe_key(key)
        draws = list(key.draws.all())
        key.draws.all().delete()
        key.deleted_at, key.previous_digest, key.previous_until = now(), None, None
        key.save()
        close_own_budgets(key.budget, draws)
        record_change(actor, "delete", "key", str(key), before=before)


@transaction.atomic
def reset_key_spend(
    key_id: UUID, *, budget_id: str | None = None, reason: str = "", actor: str
) -> APIKey:
    """Start the open window of its own budget, or of one of its further ones, anew at nothing."""
    key = _locked(key_id)
    reset_own_budget(key.budget, split_draws(key.draws.all())[0], budget_id)
    reset = {"budget_id": budget_id or key.budget.public_id}
    record_change(actor, "reset_spend", "key", str(key), after=reset, reason=reason)
    return _read(key)


def describe_key(key: APIKey) -> dict[str, Any]:
    """A key and its budgets as plain values, for the audit; never its secret."""
    return {
        **{column: getattr(key, column) for column in COLUMNS},
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "budget": describe_budget(key.budget),
        **describe_draws(key.draws),
    }


def _refuse_taken_secret(text: str, field: str) -> None:
    """A secret that was ever in use, by a deleted key too, is not used again."""
    digest = digest_of(text)
    owned = APIKey.objects.filter(Q(digest=digest) | Q(previous_digest=digest))
    if is_master(digest) or owned.exists():
        raise Taken("Another key has that secret.", field)


def _taken(error: IntegrityError, changes: Changes) -> Taken:
    cause = getattr(error.__cause__, "diag", None)
    if cause is not None and cause.constraint_name == "key_alias_once":
        return Taken(f"Another key is named '{changes.columns['alias']}'.", "key_alias")
    return Taken("Another key has that secret.", "key")


def _locked(key_id: UUID) -> APIKey:
    keys = APIKey.objects.with_budgets().present().select_for_update(of=("self",))
    key = keys.filter(id=key_id).first()
    if key is None:
        raise NotThere(NO_SUCH_KEY, "key")
    return key


def _read(key: APIKey) -> APIKey:
    """As the rows have it now."""
    return APIKey.objects.with_budgets().get(pk=key.pk)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
