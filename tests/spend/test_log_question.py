"""What people type to find rows of the log."""

from datetime import timedelta

import pytest

from spend.log_question import BadSearch, LogQuestion, parse_question

CALL = "01a21066-4ea9-7000-8cb5-8910aa16c200"


def test_it_works():
    found = parse_question('tag:engineering tag:"cost center 7" key:ci model:gpt-4o', span="7d")

    assert found == LogQuestion(
        span=timedelta(days=7), tags=("engineering", "cost center 7"), key="ci", model="gpt-4o"
    )
    assert found.is_filtered


def test_it_asks_for_the_last_day_when_nothing_is_said():
    assert parse_question("") == LogQuestion(span=timedelta(hours=24))
    assert parse_question("  ", span="365d").span == timedelta(hours=24)
    assert not parse_question("").is_filtered


def test_it_takes_a_bare_id():
    assert parse_question(f" {CALL} ").call_id is not None
    assert parse_question("id:chatcmpl-1").id == "chatcmpl-1"
    assert parse_question("id:chatcmpl-1").call_id is None


def test_it_keeps_colons_within_values():
    assert parse_question("tag:team:search model:openai/gpt-4o").tags == ("team:search",)


@pytest.mark.parametrize(
    "text",
    ["engineering", "tag:", "cost:>1", "tag:a engineering", 'tag:"a', "x" * 1_001, "tag:a\x00"],
)
def test_it_refuses_what_it_does_not_know(text):
    with pytest.raises(BadSearch):
        parse_question(text)


@pytest.mark.parametrize("name", ["key", "model", "id"])
def test_it_refuses_two_of_what_a_call_has_one_of(name):
    with pytest.raises(BadSearch, match=name):
        parse_question(f"{name}:a {name}:b")
