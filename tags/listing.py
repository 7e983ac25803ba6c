"""Listing: a page of tags, the registered ones by name, then those seen in traffic."""

from dataclasses import dataclass
from typing import Any

from spend.ranges import Range
from tags.answers import seen_object, tag_objects
from tags.models import Tag
from tags.traffic import seen_tags


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: behind this name, of the one kind or the other."""

    is_seen: bool
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    objects: list[dict[str, Any]]
    next: Place | None


def read_page(
    covered: Range, *, text: str, include_seen: bool, limit: int, place: Place | None
) -> Page:
    """`limit` objects behind `place`; `covered` says which calls make a tag a seen one."""
    tags = [] if place and place.is_seen else _registered(text, place, limit + 1)
    if len(tags) > limit:
        return Page(tag_objects(tags[:limit]), Place(False, tags[limit - 1].name))
    objects = tag_objects(tags)
    if not include_seen:
        return Page(objects, None)
    left = limit - len(tags)
    after = place.name if place and place.is_seen else None
    seen = seen_tags(covered, text=text, after=after, limit=left + 1)
    objects += [seen_object(tag) for tag in seen[:left]]
    if len(seen) <= left:
        return Page(objects, None)
    return Page(objects, Place(left > 0, objects[-1]["name"]))


def _registered(text: str, place: Place | None, limit: int) -> list[Tag]:
    tags = Tag.objects.with_budgets().order_by("name")
    if text:
        tags = tags.filter(name__icontains=text)
    if place:
        tags = tags.filter(name__gt=place.name)
    return list(tags[:limit])
