"""Names of tags: trimmed, bounded, one Unicode form; and how fast the worst ones are refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags.names import LENGTH_MAX, BadTag, clean_tag, clean_tags


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("engineering", "engineering"),
        ("  eu\t\n", "eu"),
        ("\u00a0eu\u2003", "eu"),
        ("cost center: 7", "cost center: 7"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u212b", "\u00c5"),
        ("a" * 128, "a" * 128),
        ("\u1112\u1161\u11ab" * 128, "\ud55c" * 128),
        ("[*]?", "[*]?"),
        ("a!b&", "a!b&"),
        ("Engineering", "Engineering"),
        ("\U0001f680", "\U0001f680"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_it_gives_each_name_one_form(given_name, name):
    assert clean_tag(given_name) == name


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (5, "must be a string"),
        (True, "must be a string"),
        (None, "must be a string"),
        (["a"], "must be a string"),
        ({"a": 1}, "must be a string"),
        ("a" * 129, "must have at most 128 characters"),
        ("\u00e9" * 129, "must have at most 128 characters"),
        ("e\u0301" * 129, "must have at most 128 characters"),
        ("!a", "must not begin with ! or &"),
        (" &a", "must not begin with ! or &"),
        ("a,b", "must not contain a comma"),
        ("a\nb", "must not contain the character U\\+000A"),
        ("a\0b", "must not contain the character U\\+0000"),
        ("a\x7fb", "must not contain the character U\\+007F"),
        ("a\x9fb", "must not contain the character U\\+009F"),
        ("a\u2028b", "must not contain the character U\\+2028"),
        ("a\u2029b", "must not contain the character U\\+2029"),
        ("a\u202eb", "must not contain the character U\\+202E"),
        ("a\u2066b", "must not contain the character U\\+2066"),
        ("a\u061cb", "must not contain the character U\\+061C"),
        ("a\u200fb", "must not contain the character U\\+200F"),
        ("a\ud800b", "must not contain the character U\\+D800"),
    ],
)
def test_it_refuses_what_is_no_name(value, says):
    with pytest.raises(BadTag, match=f"^{says}$"):
        clean_tag(value)


@given(st.text(max_size=200))
def test_it_leaves_a_clean_name_as_it_is(text):
    try:
        name = clean_tag(text)
    except BadTag:
        return
    assert clean_tag(name) == name
    assert len(name) <= LENGTH_MAX
    assert name == name.strip()


def test_it_keeps_the_first_of_equal_tags():
    assert clean_tags(["a", " a ", "b", "", "a", "A", "cafe\u0301", "caf\u00e9"]) == [
        "a", "b", "A", "caf\u00e9",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["\u0344" * 100_000, "a\u0301\u0316" * 33_000, "x" * 100_000])
def test_it_refuses_a_hundred_kilobytes_at_once(text):
    started = time.perf_counter()

    with pytest.raises(BadTag):
        clean_tag(text)

    assert time.perf_counter() - started < 0.05
