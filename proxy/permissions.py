"""Permissions: who calls a management path, and what that caller may do. Cookies are not read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.timezone import now
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from proxy.client_address import client_address
from proxy.credentials import (
    UnknownKey,
    digest_of,
    is_master,
    presented_key,
    refusal_of_missing,
    refusal_of_unknown,
    refuse_unusable,
)
from proxy.errors import Failure
from proxy.key_cards import KeyCard, load_key_card
from proxy.strangers import STRANGERS

if TYPE_CHECKING:  # DRF's views import the defaults that are written here
    from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the master key (`key` is None), or a virtual key."""

    key: KeyCard | None = None

    @property
    def is_master(self) -> bool:
        return self.key is None

    @property
    def name(self) -> str:
        """As the audit and `created_by` have it."""
        return "master" if self.key is None else self.key.name


class KeyAuthentication(BaseAuthentication):
    """`request.user` is a Caller, or None when no key was presented."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """Raises Failure for a key that is unknown, expired or blocked."""
        presented = presented_key(request.headers)
        if presented is None:
            return None
        try:
            return find_caller(digest_of(presented)), None
        except UnknownKey as refused:
            address = client_address(request.META.get("REMOTE_ADDR"), request.headers)
            raise STRANGERS.refusal(refused, address) from None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find_caller(digest: str) -> Caller:
    """Raises Failure when there is no such key, or it may not be used."""
    if is_master(digest):
        return Caller()
    card = load_key_card(digest)
    if card is None:
        raise refusal_of_unknown()
    refuse_unusable(blocked=card.blocked, expires_at=card.expires_at, now=now())
    return Caller(card)


class HasKey(BasePermission):
    """Any key. A view that lets virtual keys in shows them their own things only."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.user is None:
            raise refusal_of_missing()
        return True


class HasMasterKey(HasKey):
    """The default: a path is the operator's unless it says otherwise."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        super().has_permission(request, view)
        caller: Any = request.user  # DRF's types know Django's users only
        if not caller.is_master:
            text = "This path needs the master key."
            raise Failure(403, "permission_denied", text)
        return True
