"""Usage: what a provider reports, taken apart into kinds that do not overlap."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.usage import COUNT_MAX, INPUT_KINDS, NAMED_KINDS, OUTPUT_KINDS, Usage, counts

numbers = st.integers(0, COUNT_MAX)
named = st.dictionaries(st.sampled_from(["", "a", "1024x1024/high"]), numbers)
usages = st.builds(
    Usage,
    **{f.name: numbers for f in fields(Usage) if f.name not in NAMED_KINDS},
    **{name: named.map(lambda found: counts(found.items())) for name in NAMED_KINDS},
)


def chat(prompt=400, completion=100, into=None, out_of=None, **more):
    details = {"prompt_tokens_details": into, "completion_tokens_details": out_of}
    return {"prompt_tokens": prompt, "completion_tokens": completion, **details, **more}


def test_it_works():
    usage = Usage.from_openai(chat(into={"cached_tokens": 300}, out_of={"reasoning_tokens": 60}))

    assert usage == Usage(input=100, cached_input=300, output=40, reasoning=60)
    assert (usage.prompt_tokens, usage.completion_tokens) == (400, 100)
    assert usage.as_json() == {"input": 100, "cached_input": 300, "output": 40, "reasoning": 60}


def test_it_reads_every_part_of_a_chat():
    into = {"cached_tokens": 1, "cache_write_tokens": 2, "audio_tokens": 4, "text_tokens": 393}
    out_of = {"reasoning_tokens": 8, "audio_tokens": 16, "accepted_prediction_tokens": 5}

    assert Usage.from_openai(chat(into=into, out_of=out_of)) == Usage(
        input=393,
        cached_input=1,
        cache_write=2,
        audio_input=4,
        output=76,
        reasoning=8,
        audio_output=16,
    )


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (chat(), Usage(input=400, output=100)),
        (chat(completion=0), Usage(input=400)),
        (chat(into={"cached_tokens": None}, out_of={}), Usage(input=400, output=100)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
        ({"prompt_tokens": 8, "completion_tokens": None, "total_tokens": 9}, Usage(8, output=1)),
        (chat(COUNT_MAX, COUNT_MAX), Usage(input=COUNT_MAX, output=COUNT_MAX)),
        (chat(total_tokens=500), Usage(input=400, output=100)),
        (chat(total_tokens=3), Usage(input=400, output=100)),
    ],
)
def test_it_reads_what_openai_compatible_upstreams_send(reported, usage):
    assert Usage.from_openai(reported) == usage


def test_it_counts_reasoning_that_only_the_total_holds():
    outside = chat(10, 5, out_of={"reasoning_tokens": 300}, total_tokens=315)
    unnamed = chat(8, 9, total_tokens=1133)

    assert Usage.from_openai(outside) == Usage(input=10, output=5, reasoning=300)
    assert Usage.from_openai(unnamed) == Usage(input=8, output=1125)


BAD_COUNTS = [-1, COUNT_MAX + 1, 10**30, 1.0, 1.5, "12", True, [], {}]
UNUSABLE = [
    None,
    [],
    "usage",
    {},
    {"prompt_tokens": 8},
    {"completion_tokens": 8, "total_tokens": 8},
    {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    chat(prompt=0),
    chat(prompt=0, completion=0),
    chat(into={"cached_tokens": 401}),
    chat(into={"cached_tokens": 300, "cache_write_tokens": 101}),
    chat(into={"audio_tokens": 401}),
    chat(out_of={"reasoning_tokens": 101}),
    chat(out_of={"reasoning_tokens": 60, "audio_tokens": 41}),
    chat(into=[1]),
    chat(out_of="none"),
    *[chat(prompt=bad) for bad in BAD_COUNTS],
    *[chat(completion=bad) for bad in BAD_COUNTS],
    *[chat(total_tokens=bad) for bad in BAD_COUNTS],
    *[chat(into={"cached_tokens": bad}) for bad in BAD_COUNTS],
    *[chat(out_of={"reasoning_tokens": bad}) for bad in BAD_COUNTS],
]


@pytest.mark.parametrize("reported", UNUSABLE, ids=lambda reported: repr(reported)[:60])
def test_it_does_not_use_what_is_no_complete_count(reported):
    assert Usage.from_openai(reported) is None


def test_it_reads_a_response_object():
    reported = {
        "input_tokens": 400,
        "input_tokens_details": {"cached_tokens": 300},
        "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 60},
        "total_tokens": 500,
    }

    usage = Usage(input=100, cached_input=300, output=40, reasoning=60)
    assert Usage.from_responses(reported) == usage
    assert Usage.from_responses({**reported, "output_tokens": 40}) == usage  # the total tells
    assert Usage.from_responses({**reported, "input_tokens": 299}) is None
    assert Usage.from_responses(None) is None


def test_it_reads_a_message_whose_cached_tokens_are_outside():
    reported = {
        "input_tokens": 3,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 90,
        "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 100,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "service_tier": "standard",
    }

    usage = Usage.from_anthropic(reported)

    assert usage == Usage(
        input=3,
        cached_input=300,
        cache_write=50,
        cache_write_1h=40,
        output=100,
        tools=(("web_search", 2),),
    )
    assert (usage.prompt_tokens, usage.completion_tokens) == (393, 100)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 8, "output_tokens": 1, "server_tool_use": None}, Usage(8, output=1)),
        (
            {"input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 0},
            Usage(cached_input=5),
        ),
        ({"input_tokens": 0, "output_tokens": 9}, None),
        ({"input_tokens": 8}, None),
        ({"output_tokens": 8}, None),
        ({"input_tokens": 8, "output_tokens": 1, "cache_read_input_tokens": -1}, None),
        (
            {
                "input_tokens": 8,
                "output_tokens": 1,
                "cache_creation": {"ephemeral_1h_input_tokens": 1},
            },
            None,
        ),
    ],
)
def test_it_reads_messages_by_the_same_rules(reported, usage):
    assert Usage.from_anthropic(reported) == usage


few = st.integers(0, 9)


@given(few, few, st.integers(1, 12), st.integers(0, 12), few)
def test_it_keeps_both_sides_whole_or_none(cached, written, prompt, completion, reasoning):
    into = {"cached_tokens": cached, "cache_write_tokens": written}
    usage = Usage.from_openai(chat(prompt, completion, into, {"reasoning_tokens": reasoning}))

    fits = cached + written <= prompt and reasoning <= completion
    sides = usage and (usage.prompt_tokens, usage.completion_tokens)
    assert sides == ((prompt, completion) if fits else None)


members = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"]
members += ["prompt_tokens_details", "cached_tokens", "cache_creation", "server_tool_use"]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(members), inner),
    max_leaves=8,
)


@given(json)
def test_it_never_fails_on_what_an_upstream_makes_up(reported):
    for read in (Usage.from_openai, Usage.from_responses, Usage.from_anthropic):
        usage = read(reported)
        assert usage is None or usage.input_total > 0


@given(usages, usages)
def test_it_adds_up_kind_by_kind(one, other):
    both = one + other

    assert both == other + one
    assert both.input_total == one.input_total + other.input_total
    assert both.output_total == one.output_total + other.output_total
    assert dict(both.tools).get("a", 0) == dict(one.tools).get("a", 0) + dict(other.tools).get(
        "a", 0
    )
    assert one + Usage() == one


@given(usages)
def test_it_reads_back_what_it_stored(usage):
    stored = usage.as_json()

    assert Usage.from_json(stored) == usage
    assert 0 not in stored.values()


def test_it_refuses_a_stored_kind_that_it_does_not_know():
    with pytest.raises(TypeError):
        Usage.from_json({"input": 1, "smell": 2})


def test_it_has_each_token_in_one_kind():
    assert set(INPUT_KINDS).isdisjoint(OUTPUT_KINDS)
    assert Usage(**dict.fromkeys(INPUT_KINDS, 1)).input_total == len(INPUT_KINDS)
    assert Usage(**dict.fromkeys(OUTPUT_KINDS, 1)).output_total == len(OUTPUT_KINDS)
