"""P4, what is charged is checked: one resolver decides a call's tags, once, before admission."""

import pytest

from spend.models import TagSet
from tags.models import Tag
from tests.factories import make_key, make_tag, unique

SOURCES = (
    "metadata",
    "litellm_metadata",
    "root",
    "x-litellm-tags",
    "x-tollgate-tags",
    "rule",
    "baggage",
    "user-agent",
    "key",
)
POLICIES = ("track", "reject", "create")


@pytest.fixture(autouse=True)
def every_source_is_on(settings):
    settings.TAG_HEADER_RULES = [{"header": "x-team"}, {"baggage": "tenant.id"}]
    settings.TAG_USER_AGENT = True
    settings.NEW_TAG_TEMPLATES = [{"match": "*", "max_budget": 1}]


def named_for(source):
    """The User-Agent makes names of its own kind."""
    return f"User-Agent: {unique('agent')}" if source == "user-agent" else unique("tag")


def carry(name, source):
    """A call's members, headers and key by which it carries that tag, through that source alone."""
    key, members, headers = None, {}, {"user-agent": ""}
    match source:
        case "metadata" | "litellm_metadata":
            members[source] = {"tags": [name]}
        case "root":
            members["root_tags"] = [name]
        case "x-litellm-tags" | "x-tollgate-tags":
            headers[source] = name
        case "rule":
            headers["x-team"] = name
        case "baggage":
            headers["baggage"] = f"tenant.id={name}"
        case "user-agent":
            headers["user-agent"] = f"{name.removeprefix('User-Agent: ')}/1.0"
        case "key":
            key = make_key(tags=(name,))
    return key or make_key(), members, headers


def call(gateway, model, name, source):
    key, members, headers = carry(name, source)
    body = {"model": model.model_name, "messages": [{"role": "user", "content": "Hello"}]}
    root = members.pop("root_tags", None)
    body |= members | ({} if root is None else {"tags": root})
    return gateway.call("POST", "/v1/chat/completions", key=key, body=body, headers=headers)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_tag_with_room_is_charged(gateway, books, model, settings, source, policy):
    settings.UNKNOWN_TAGS = policy
    tag = make_tag(named_for(source), limit="1")

    answer = call(gateway, model, tag.name, source)

    assert answer.status == 200
    row = books.row(answer.id)
    assert TagSet.objects.get(id=row.tag_set_id).tags == [tag.name]
    assert books.window(tag).id in row.windows
    assert books.spent(tag) == row.cost == 210_000


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_tag_without_room_refuses(gateway, upstream, books, model, settings, source, policy):
    settings.UNKNOWN_TAGS = policy
    tag = make_tag(named_for(source), limit="0")

    answer = call(gateway, model, tag.name, source)

    assert (answer.status, answer.error["type"]) == (400, "budget_exceeded")
    assert answer.json()["budget"]["tag"] == tag.name
    assert upstream.asked == []
    assert (books.spent(tag), books.reserved(tag)) == (0, 0)


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_tag_that_is_tracked_is_logged(gateway, books, model, source):
    name = named_for(source)

    answer = call(gateway, model, name, source)

    row = books.row(answer.id)
    assert TagSet.objects.get(id=row.tag_set_id).tags == [name]
    assert len(row.windows) == 1  # of the key


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_tag_that_is_refused_is_refused(gateway, upstream, model, settings, source):
    settings.UNKNOWN_TAGS = "reject"

    answer = call(gateway, model, named_for(source), source)

    assert (answer.status, answer.error["type"]) == (400, "unknown_tag")
    assert upstream.asked == []


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_tag_that_is_created_is_charged(gateway, books, model, settings, source):
    settings.UNKNOWN_TAGS = "create"
    name = named_for(source)

    answer = call(gateway, model, name, source)

    tag = Tag.objects.get(name=name)
    assert answer.status == 200
    assert books.window(tag).id in books.row(answer.id).windows
    assert (tag.budget.limit, books.spent(tag)) == (10**9, 210_000)


@pytest.mark.parametrize("header", ["x_litellm_tags", "X_Tollgate_Tags", "x_team"])
def test_a_spoofed_spelling_is_neither_checked_nor_charged(gateway, books, key, model, header):
    tag = make_tag(limit="0")

    answer = gateway.chat(model, key=key, headers={header: tag.name, "user-agent": ""})

    assert answer.status == 200
    assert TagSet.objects.get(id=books.row(answer.id).tag_set_id).tags == []


def test_all_sources_together_are_one_set(gateway, books, model):
    tags = {source: make_tag(named_for(source), limit="1") for source in SOURCES}
    key = make_key(tags=(tags["key"].name,))
    headers = {}
    body = {"model": model.model_name, "messages": []}
    for source, tag in tags.items():
        if source == "key":
            continue
        _, members, carried = carry(tag.name, source)
        root = members.pop("root_tags", None)
        body |= members | ({} if root is None else {"tags": root})
        headers |= {name: value for name, value in carried.items() if value}

    answer = gateway.call("POST", "/v1/chat/completions", key=key, body=body, headers=headers)

    row = books.row(answer.id)
    names = [tag.name for tag in tags.values()]
    assert TagSet.objects.get(id=row.tag_set_id).tags == names
    assert answer.headers["x-tollgate-tags"] == ",".join(names)
    assert row.windows == [books.window(payer).id for payer in (*tags.values(), key)]
    assert {books.spent(tag) for tag in tags.values()} == {210_000}


def test_one_full_tag_among_all_sources_charges_none(gateway, upstream, books, model):
    roomy, full = make_tag(limit="1"), make_tag(limit="0")
    key = make_key(tags=(full.name,), limit="1")

    answer = gateway.chat(model, key=key, tags=[roomy], headers={"user-agent": ""})

    assert answer.status == 400
    assert upstream.asked == []
    assert {books.reserved(payer) for payer in (roomy, full, key)} == {0}
    assert {books.spent(payer) for payer in (roomy, full, key)} == {0}
