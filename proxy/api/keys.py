"""The key API: /key/*, for the master key; a virtual key may read itself."""

from math import ceil
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy.actions import (
    change_key,
    create_key,
    delete_keys,
    find_key,
    regenerate_key,
    reset_key_spend,
    set_blocked,
)
from proxy.key_answers import drawn_budgets, key_objects
from proxy.key_serializers import (
    ChangedKey,
    KeyInfoQuery,
    KeyListQuery,
    KeyObject,
    KeysToDelete,
    NamedKey,
    NewKey,
    Regeneration,
)
from proxy.models import APIKey
from proxy.permissions import HasKey
from tags.errors import NotThere
from tags.serializers import SpendReset
from tags.views import ManagementView

EXAMPLE = {"key_alias": "svc-a", "metadata": {"tags": ["AWS_IAM_PROD", "team-backend"]}}

ITSELF = {
    "key": "9f2c...64 hex",
    "info": {
        "key_alias": "svc-a",
        "status": "active",
        "spend": 2.0,
        "remaining": 23.0,
        "max_budget": 25.0,
        "metadata": {"tags": ["team-backend"]},
        "budgets": [
            {
                "tag": "team-backend", "key_alias": None, "mode": "standard", "spent": 2.0,
                "reserved": 0.0, "requested": 0.0, "limit": 5.0, "remaining": 3.0,
                "budget_id": "0199d091-3000-7a11-8f2e-3b9a6d1c5e70", "duration": "30d",
                "starts_at": "2026-11-22T09:00:00Z", "resets_at": "2026-12-22T09:00:00Z",
            }
        ],
    },
}  # fmt: skip


def example(value: Any) -> list[OpenApiExample]:
    return [OpenApiExample("svc-a", value=value, request_only=True)]


def answer(key: APIKey, secret: str | None = None) -> Response:
    """The key object; with the secret, which only those who make one are told."""
    shown = {} if secret is None else {"key": secret}
    return Response(shown | key_objects([key])[0])


class GenerateKeyView(ManagementView):
    @extend_schema(request=NewKey, responses=KeyObject, examples=example(EXAMPLE))
    def post(self, request: Request) -> Response:
        """Make a key. Its secret is in this answer and nowhere else."""
        asked = self.read(NewKey)
        secret = asked.validated_data.get("key")
        return answer(*create_key(asked.changes(), secret=secret, actor=self.actor))


class KeyInfoView(ManagementView):
    permission_classes = [HasKey]

    @extend_schema(
        parameters=[KeyInfoQuery],
        responses=OpenApiTypes.OBJECT,
        examples=[OpenApiExample("a key that reads itself", ITSELF, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """A key by its secret, hash or key_id; without one, the key that asks.

        A key that reads itself is told every budget that its calls draw on, by its own account and
        by its default tags: what is spent and held there, and what remains.
        """
        asked = self.read_query(KeyInfoQuery).get("key")
        caller = self.caller.key
        if asked is None and caller is None:
            raise NotThere("The master key is no virtual key; name one with ?key=.", "key")
        key = find_key(asked or caller.digest)
        if caller is not None and key.id != caller.id:
            raise NotThere("There is no such key.", "key")
        info = key_objects([key])[0]
        if caller is not None:
            info["budgets"] = drawn_budgets(key)
        return Response({"key": asked or key.digest, "info": info})


class UpdateKeyView(ManagementView):
    @extend_schema(
        request=ChangedKey,
        responses=KeyObject,
        examples=example({"key": "9f2c...64 hex", "max_budget": 50.0}),
    )
    def post(self, request: Request) -> Response:
        """Change what is present and nothing else; null clears."""
        key = find_key(self.named("key"))
        asked = self.read(ChangedKey, instance=key)
        return answer(change_key(key.id, asked.changes(), actor=self.actor))


class DeleteKeysView(ManagementView):
    @extend_schema(
        request=KeysToDelete,
        responses=OpenApiTypes.OBJECT,
        examples=example({"key_aliases": ["svc-a"]}),
    )
    def post(self, request: Request) -> Response:
        """Delete keys, all or none. Log rows and reports keep their names."""
        asked = self.read(KeysToDelete).validated_data
        if names := asked.get("keys"):
            key_ids = [find_key(name).id for name in names]
        else:
            names = asked["key_aliases"]
            key_ids = [find_alias(name).id for name in names]
        delete_keys(key_ids, actor=self.actor)
        return Response({"deleted_keys": names})


class KeyListView(ManagementView):
    @extend_schema(parameters=[KeyListQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """A page of keys: their hashes, or the whole objects."""
        asked = self.read_query(KeyListQuery)
        keys = listed_keys(asked)
        size, total = asked["size"], keys.count()
        page = keys[(asked["page"] - 1) * size : asked["page"] * size]
        return Response(
            {
                "keys": key_objects(page)
                if asked["return_full_object"]
                else [key.digest for key in page],
                "total_count": total,
                "current_page": asked["page"],
                "total_pages": ceil(total / size),
            }
        )


class RegeneratingView(ManagementView):
    def regenerate(self, name: str) -> Response:
        stored = find_key(name)
        asked = self.read(Regeneration).validated_data
        new = regenerate_key(
            stored.id,
            secret=asked.get("new_key"),
            grace=asked.get("grace_period"),
            actor=self.actor,
        )
        return answer(*new)


class RegenerateKeyView(RegeneratingView):
    @extend_schema(
        request=Regeneration,
        responses=KeyObject,
        examples=example({"key": "9f2c...64 hex", "grace_period": "1d"}),
    )
    def post(self, request: Request) -> Response:
        """Give a key another secret; its key_id, budgets and windows stay."""
        return self.regenerate(self.named("key"))


class RegenerateNamedKeyView(RegeneratingView):
    @extend_schema(
        operation_id="key_regenerate_named",
        request=Regeneration,
        responses=KeyObject,
        examples=example({"grace_period": "1d"}),
    )
    def post(self, request: Request, key: str) -> Response:
        """Give the key in the path another secret."""
        return self.regenerate(key)


class BlockKeyView(ManagementView):
    blocked = True

    @extend_schema(
        request=NamedKey, responses=KeyObject, examples=example({"key": "9f2c...64 hex"})
    )
    def post(self, request: Request) -> Response:
        """Stop a key, or let it call again; calls in flight finish."""
        key = find_key(self.read(NamedKey).validated_data["key"])
        return answer(set_blocked(key.id, self.blocked, actor=self.actor))


class UnblockKeyView(BlockKeyView):
    blocked = False


class ResetKeySpendView(ManagementView):
    @extend_schema(
        request=SpendReset,
        responses=KeyObject,
        examples=example({"reset_to": 0, "reason": "billing error"}),
    )
    def post(self, request: Request, key: str) -> Response:
        """Start the open window anew at nothing; it ends when it would have."""
        stored = find_key(key)
        asked = self.read(SpendReset).validated_data
        reset = reset_key_spend(
            stored.id,
            budget_id=asked.get("budget_id"),
            reason=asked.get("reason") or "",
            actor=self.actor,
        )
        return answer(reset)


def find_alias(alias: str) -> APIKey:
    """Raises NotThere."""
    key = APIKey.objects.present().filter(alias=alias).first()
    if key is None:
        raise NotThere(f"There is no key named '{alias}'.", "key_aliases")
    return key


def listed_keys(asked: dict[str, Any]) -> QuerySet[APIKey]:
    keys = APIKey.objects.present().with_budgets()
    if alias := asked.get("key_alias"):
        keys = keys.filter(alias=alias)
    if digest := asked.get("key_hash"):
        keys = keys.filter(digest=digest)
    if text := asked.get("search"):
        keys = keys.filter(Q(alias__icontains=text) | Q(ending=text.removeprefix("sk-...")))
    expired = Q(expires_at__isnull=False, expires_at__lte=now())
    match asked.get("status"):
        case "blocked":
            keys = keys.filter(blocked=True)
        case "expired":
            keys = keys.filter(expired, blocked=False)
        case "active":
            keys = keys.exclude(expired).filter(blocked=False)
    sign = "" if asked["sort_order"] == "asc" else "-"
    return keys.order_by(f"{sign}created_at", f"{sign}id")
