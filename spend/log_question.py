"""LogQuestion: which rows of the log are asked for; equality only, within a bounded time."""

import re
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

RANGES = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
RANGE = "24h"
TEXT_MAX = 1_000

SEARCH_MEANT = (
    "Search by tag:, key:, model: or id:, as in tag:engineering model:gpt-4o; put what has spaces"
    ' into quotes, as in tag:"cost center 7".'
)

_TERM = re.compile(r'(tag|key|model|id):(?:"([^"]+)"|([^\s"]\S*))')


class BadSearch(ValueError):
    """Not a search of the log. The text is for whoever typed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """All tags are on the call. `key` is an alias or an id; `id` ours, or the upstream's."""

    span: timedelta = RANGES[RANGE]
    tags: tuple[str, ...] = ()
    key: str | None = None
    model: str | None = None
    id: str | None = None
    status: str | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.tags or self.key or self.model or self.id or self.status)

    @property
    def call_id(self) -> UUID | None:
        """`id` as one of ours."""
        return parse_id(self.id)


def parse_question(
    search: str = "", *, span: str | None = None, status: str | None = None
) -> LogQuestion:
    """Raises BadSearch. A bare UUID is an id."""
    text = search.strip()
    if len(text) > TEXT_MAX or "\x00" in text:
        raise BadSearch(SEARCH_MEANT)
    if parse_id(text):
        text = f"id:{text}"
    found: dict[str, list[str]] = {"tag": [], "key": [], "model": [], "id": []}
    for name, quoted, plain in _TERM.findall(text):
        found[name].append(quoted or plain)
    if _TERM.sub("", text).strip():
        raise BadSearch(SEARCH_MEANT)
    for name in ("key", "model", "id"):
        if len(found[name]) > 1:
            raise BadSearch(f"A call has one {name} only; {name}: may be given once.")
    return LogQuestion(
        span=RANGES.get(span or RANGE, RANGES[RANGE]),
        tags=tuple(found["tag"]),
        key=_only(found["key"]),
        model=_only(found["model"]),
        id=_only(found["id"]),
        status=status or None,
    )


def parse_id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _only(values: list[str]) -> str | None:
    return values[0] if values else None
