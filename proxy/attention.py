"""Attention: which models cannot be called as they have no price."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse

from proxy.unpriced import unpriced_models
from spend.attention import Notice

NAMES_SHOWN = 3


def notices(user: Any, now: datetime) -> Iterator[Notice]:
    if not user.has_perm("proxy.view_deployment"):
        return
    missing = unpriced_models(now)
    if missing:
        count = f"{len(missing)} models have" if len(missing) > 1 else "1 model has"
        names = ", ".join(missing[:NAMES_SHOWN]) + (" ..." if len(missing) > NAMES_SHOWN else "")
        yield Notice(f"{count} no price, so calls are refused: {names}", _models())


def _models() -> str:
    try:
        return reverse("prices")
    except NoReverseMatch:
        return reverse("admin:proxy_deployment_changelist")
