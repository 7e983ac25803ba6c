"""Shown calls: rows of the log as pages list them; an owner reads the names of own tags alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from spend.models import SpendLog

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ShownCall:
    """`tags` are those that may be named, `hidden` is how many more it carries."""

    call: SpendLog
    tags: tuple[str, ...]
    hidden: int

    @property
    def cached(self) -> int:
        return self.call.usage.get("cached_input") or 0

    @property
    def milliseconds(self) -> int:
        return (self.call.ended_at - self.call.at) // MILLISECOND


def show_calls(
    calls: Iterable[SpendLog], visible: frozenset[str] | None, *, beside: str | None = None
) -> list[ShownCall]:
    """`visible` as tags/access.py has it; `beside` is the tag that all of them carry."""
    shown = []
    for call in calls:
        others = [name for name in call.tag_set.tags if name != beside]
        named = tuple(name for name in others if visible is None or name in visible)
        shown.append(ShownCall(call, named, len(others) - len(named)))
    return shown
