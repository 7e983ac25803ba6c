"""Text bound: no normal form of the text is longer, and finding out is cheap."""

import json
import sys
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spend.text_bound import text_bound_bytes

HANGUL = range(0xAC00, 0xD7A4)


def is_hangul(code):
    return code in HANGUL


def size_in(form, text):
    return len(unicodedata.normalize(form, text).encode())


def test_it_works():
    assert text_bound_bytes(b'{"content": "plain"}') == 20
    assert text_bound_bytes("\ufdfa".encode()) == 33
    assert text_bound_bytes("é".encode()) == 3
    assert text_bound_bytes("汉字".encode()) == 6


def test_it_counts_escapes_as_what_they_stand_for():
    assert text_bound_bytes(b"\\ufdfa") == 33
    assert text_bound_bytes(b"\\uFDFA\\u00e9") == 33 + 6
    assert text_bound_bytes(b"\\ud834\\udd60") == 12
    assert text_bound_bytes(b"\\u12") == 4


def test_it_never_fails_on_broken_text():
    assert text_bound_bytes(b"\xff\xfe\xc3") == 3


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_it_bounds_every_character_in_every_form(form):
    longer = [
        code
        for code in range(0x80, sys.maxunicode + 1)
        if not unicodedata.is_normalized(form, chr(code))
        and size_in(form, chr(code)) > text_bound_bytes(chr(code).encode())
    ]

    # Hangul syllables fall apart in the D forms alone.
    assert [code for code in longer if not is_hangul(code)] == []
    assert (longer == []) == (form in ("NFC", "NFKC"))


characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=40)


@given(texts, st.booleans(), st.sampled_from(["NFC", "NFKC"]))
@example("\ufdfa" * 3, True, "NFKC")
@example("\u0344\u0958\U0001d160", True, "NFC")
@settings(max_examples=400)
def test_it_bounds_every_text_however_it_is_written(text, escaped, form):
    body = json.dumps({"content": text}, ensure_ascii=escaped).encode()

    assert size_in(form, text) <= text_bound_bytes(body)


@given(texts)
def test_it_bounds_the_pieces_by_the_whole(text):
    whole = text_bound_bytes(text.encode())

    assert len(text.encode()) <= whole <= 11 * len(text.encode())
    assert whole == sum(text_bound_bytes(character.encode()) for character in text)


@pytest.mark.parametrize(
    "text",
    ["Đây là một câu tiếng Việt. ", "汉字", "\ufdfa", "a\u0300\u0316" * 9, "\\ufdfa", "plain "],
)
def test_it_takes_time_in_step_with_the_text(text):
    body = (text * 200_000).encode()[:200_000]

    best = min(_seconds(body) for _ in range(5))

    assert best < 0.1  # about 5 ms on a quiet machine; a quadratic one takes seconds


def _seconds(body):
    started = time.perf_counter()
    text_bound_bytes(body)
    return time.perf_counter() - started
