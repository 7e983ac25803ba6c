"""Text bound: how many bytes a JSON body's text can have in whatever form a tokenizer gives it.

Some tokenizers normalise to NFC or NFKC before they cut, and that can lengthen the text: U+FDFA
goes from 3 bytes to 33. A code point lengthens at most as far as it falls apart, by itself, in NFD
or NFKD, and composing never lengthens; so one look-up per code point is a bound. Normalising for
real is not an option: it is quadratic on combining marks. Hangul syllables are left out: NFC and
NFKC put them together again.
"""

import re
from collections.abc import Iterator
from itertools import chain
from unicodedata import decomposition, normalize

_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
_ESCAPE_BYTES = 6


def text_bound_bytes(body: bytes) -> int:
    """At most so many bytes; for plain ASCII just its length.

    Linear: about 25 ns a character that is not ASCII. Escapes count as what they stand for.
    """
    bound = len(body)
    if not body.isascii():
        text = body.decode("utf-8", "replace")
        bound += sum(map(_GROWTH.__getitem__, filter(_GROWTH.__contains__, text)))
    if b"\\u" in body:
        bound += sum(_ESCAPE_GROWTH.get(code.lower(), 0) for code in _ESCAPE.findall(body))
    return bound


def _code_points() -> Iterator[int]:
    """All that may decompose: without ASCII, CJK ideographs, Hangul and surrogates."""
    return chain(range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x20000))


def _bytes_added(character: str) -> int:
    apart = (normalize(form, character).encode() for form in ("NFD", "NFKD"))
    return max(map(len, apart)) - len(character.encode())


# 1,744 code points in Unicode 14; made once, in about 20 ms.
_GROWTH = {
    chr(code): added
    for code in _code_points()
    if decomposition(chr(code)) and (added := _bytes_added(chr(code))) > 0
}

# By the four hex digits, for the few that outgrow even their escape. A pair of escapes, 12 bytes,
# is longer than the longest form of anything beyond the basic plane.
_ESCAPE_GROWTH = {
    f"{ord(character):04x}".encode(): growth
    for character, added in _GROWTH.items()
    if ord(character) < 0x10000 and (growth := len(character.encode()) + added - _ESCAPE_BYTES) > 0
}
