"""Names: what a tag may be called. Trimmed, bounded, in one Unicode form."""

import re
import unicodedata
from collections.abc import Iterable

LENGTH_MAX = 128
RAW_LENGTH_MAX = 4 * LENGTH_MAX  # before it is normalised, which costs the more the longer it is
RESERVED = ("!", "&")  # other gateways read them as operators

# Controls, the comma, line and paragraph separators, bidirectional controls, half characters.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f,\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class BadTag(ValueError):
    """Not a name for a tag. The text is for the client and follows a field's name."""


def clean_tag(value: object) -> str:
    """The one form of a tag's name; "" for a blank one, which lists drop. Raises BadTag."""
    if not isinstance(value, str):
        raise BadTag("must be a string")
    name = value.strip()
    if len(name) > RAW_LENGTH_MAX:
        raise BadTag(f"must have at most {LENGTH_MAX} characters")
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if len(name) > LENGTH_MAX:
        raise BadTag(f"must have at most {LENGTH_MAX} characters")
    if name.startswith(RESERVED):
        raise BadTag("must not begin with ! or &")
    if found := _FORBIDDEN.search(name):
        raise BadTag(f"must not contain {_described(found[0])}")
    return name


def clean_tags(values: Iterable[object]) -> list[str]:
    """Cleaned names in their order; blank ones and repeats are dropped. Raises BadTag."""
    return [name for name in dict.fromkeys(map(clean_tag, values)) if name]


def _described(character: str) -> str:
    return "a comma" if character == "," else f"the character U+{ord(character):04X}"
