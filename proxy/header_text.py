"""Header text: names and times in the form that a response header can carry."""

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

REMEMBERED_MAX = 4096  # the same few names and times stand in nearly every answer

# Everything but controls, "%", ",", ";" and non-ASCII may stand in a header as it is.
HEADER_SAFE = "".join(chr(n) for n in range(0x20, 0x7F) if chr(n) not in "%,;")


@lru_cache(REMEMBERED_MAX)
def in_header(text: str) -> str:
    """Percent-encoded UTF-8 where it has to be."""
    return quote(text, safe=HEADER_SAFE)


@lru_cache(REMEMBERED_MAX)
def in_header_time(at: float | datetime) -> str:
    """Whole seconds in UTC, of a time or of seconds since 1970."""
    seconds = at.timestamp() if isinstance(at, datetime) else at
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(REMEMBERED_MAX)
def payer_in_header(payer: str) -> str:
    """Of `tag:engineering` the tag's name, of `key:ci` all of it."""
    kind, _, name = payer.partition(":")
    return in_header(name) if kind == "tag" else f"key:{in_header(name)}"
