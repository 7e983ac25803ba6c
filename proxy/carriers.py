"""Carriers: the keys whose calls always carry a tag, named by alias, or by id without one."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from proxy.actions import change_key
from proxy.models import APIKey
from tags.changes import Changes
from tags.errors import Invalid


def read_carriers(tag: str) -> list[str]:
    """In the order of their names."""
    keys = APIKey.objects.present().filter(metadata__tags__contains=tag)
    return sorted(name_of(key) for key in keys.only("alias", "id"))


@transaction.atomic
def set_carriers(tag: str, names: Sequence[str], *, actor: str) -> None:
    """From now on the calls of these keys carry the tag, and those of no others.

    Raises Invalid, naming the first key that does not exist, or that has too many tags already.
    """
    wanted = {key.pk: key for key in _keys(names)}
    present = APIKey.objects.present().filter(metadata__tags__contains=tag)
    for key in present:
        if key.pk not in wanted:
            _set_tags(key, [name for name in key.metadata["tags"] if name != tag], actor)
    for key in wanted.values():
        tags = key.metadata.get("tags") or []
        if tag in tags:
            continue
        if len(tags) >= settings.MAX_TAGS_PER_REQUEST:
            raise Invalid(f"The key '{name_of(key)}' carries as many tags as a call may.", "keys")
        _set_tags(key, [*tags, tag], actor)


def name_of(key: APIKey) -> str:
    return key.alias or str(key.pk)


def _set_tags(key: APIKey, tags: Sequence[str], actor: str) -> None:
    rest = {name: value for name, value in key.metadata.items() if name != "tags"}
    metadata = {**rest, "tags": list(tags)} if tags else rest
    change_key(key.pk, Changes({"metadata": metadata}), actor=actor)


def _keys(names: Sequence[str]) -> list[APIKey]:
    ids = [key_id for name in names if (key_id := _uuid(name)) is not None]
    rows = APIKey.objects.present().filter(Q(alias__in=names) | Q(pk__in=ids))
    found: dict[str, APIKey] = {}
    for key in rows:
        found |= {name: key for name in (key.alias, str(key.pk)) if name}
    for name in names:
        if name not in found:
            raise Invalid(f"There is no key '{name}'.", "keys")
    return [found[name] for name in dict.fromkeys(names)]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
